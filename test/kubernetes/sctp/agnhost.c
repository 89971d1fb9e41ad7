// SPDX-License-Identifier: Apache-2.0
// In front of agnhost where the kernel has no SCTP sockets: `connect --protocol=sctp` and `porter` with SERVE_SCTP_PORT_*
// speak the handshake of RFC 9260 (INIT, INIT ACK, COOKIE ECHO, COOKIE ACK) over raw sockets, so that tests of policies see
// SCTP packets both ways. Everything else is agnhost's own.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INIT = 1, INIT_ACK = 2, COOKIE_ECHO = 10, COOKIE_ACK = 11, STATE_COOKIE = 7 };

struct header {
	uint16_t source, destination;
	uint32_t tag, checksum;
};
struct chunk {
	uint8_t type, flags;
	uint16_t length;
};
struct packet {
	struct header header;
	struct chunk chunk;
	uint8_t body[64];
};

static uint32_t crc32c(const uint8_t *bytes, size_t length)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
	}
	return ~crc;
}

static void tell(int fd, const struct sockaddr_storage *to, socklen_t size, struct packet *p, size_t body)
{
	size_t length = sizeof p->header + sizeof p->chunk + body;
	p->chunk.length = htons(sizeof p->chunk + body);
	p->header.checksum = 0;
	p->header.checksum = htole32(crc32c((const uint8_t *)p, length));
	struct sockaddr_storage at = *to;
	/* The port of a raw socket of IPv6 is a protocol. */
	if (at.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&at)->sin6_port = 0;
	sendto(fd, p, length, 0, (struct sockaddr *)&at, size);
}

/* The next packet, without the header of IPv4; false when there was none in time. */
static int heard(int fd, int family, int patience, struct packet *p, struct sockaddr_storage *from, socklen_t *size)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, patience) <= 0)
		return 0;
	uint8_t bytes[512];
	*size = sizeof *from;
	ssize_t length = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)from, size);
	size_t skip = family == AF_INET ? (bytes[0] & 15) * 4u : 0;
	memset(p, 0, sizeof *p);
	if (length < (ssize_t)(skip + sizeof p->header + sizeof p->chunk))
		return 0;
	size_t rest = length - skip;
	memcpy(p, bytes + skip, rest < sizeof *p ? rest : sizeof *p);
	return 1;
}

/* Fixed fields of INIT and INIT ACK: the tag to answer with, window, streams, first number. */
static size_t init(struct packet *p, uint8_t type, uint32_t tag)
{
	const uint32_t fields[] = {tag, htonl(65536), htonl(1 << 16 | 1), htonl(1)};
	p->chunk.type = type;
	p->chunk.flags = 0;
	memcpy(p->body, fields, sizeof fields);
	return sizeof fields;
}

static int serve(const uint16_t *ports, int count)
{
	int fds[2] = {socket(AF_INET, SOCK_RAW, IPPROTO_SCTP), socket(AF_INET6, SOCK_RAW, IPPROTO_SCTP)};
	const int families[2] = {AF_INET, AF_INET6};
	if (fds[0] < 0) {
		perror("agnhost: raw socket");
		return 1;
	}
	for (;;) {
		struct pollfd ready[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
		poll(ready, 2, -1);
		for (int i = 0; i < 2; i++) {
			struct packet in, out = {0};
			struct sockaddr_storage from;
			socklen_t size;
			if (!(ready[i].revents & POLLIN) || !heard(fds[i], families[i], 0, &in, &from, &size))
				continue;
			int mine = 0;
			for (int n = 0; n < count; n++)
				mine |= ports[n] == ntohs(in.header.destination);
			if (!mine)
				continue;
			out.header = (struct header){in.header.destination, in.header.source, 0, 0};
			if (in.chunk.type == INIT) {
				memcpy(&out.header.tag, in.body, 4);
				size_t body = init(&out, INIT_ACK, out.header.tag);
				/* All that is known of the peer is its tag. */
				const uint16_t cookie[] = {htons(STATE_COOKIE), htons(8)};
				memcpy(out.body + body, cookie, 4);
				memcpy(out.body + body + 4, &out.header.tag, 4);
				tell(fds[i], &from, size, &out, body + 8);
			} else if (in.chunk.type == COOKIE_ECHO) {
				memcpy(&out.header.tag, in.body, 4);
				out.chunk.type = COOKIE_ACK;
				tell(fds[i], &from, size, &out, 0);
			}
		}
	}
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int dial(char *to, int patience)
{
	char *colon = strrchr(to, ':');
	if (!colon)
		return fputs("OTHER: no port\n", stderr), 1;
	*colon = 0;
	if (to[0] == '[') {
		to++;
		to[strlen(to) - 1] = 0;
	}
	struct sockaddr_storage peer = {.ss_family = strchr(to, ':') ? AF_INET6 : AF_INET};
	int is6 = peer.ss_family == AF_INET6;
	void *address = is6 ? (void *)&((struct sockaddr_in6 *)&peer)->sin6_addr : &((struct sockaddr_in *)&peer)->sin_addr;
	if (inet_pton(peer.ss_family, to, address) != 1)
		return fputs("DNS: only addresses here\n", stderr), 1;
	socklen_t length = is6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(peer.ss_family, SOCK_RAW, IPPROTO_SCTP);
	if (fd < 0)
		return perror("OTHER"), 1;
	const uint16_t own = htons(20000 + getpid() % 40000), port = htons(atoi(colon + 1));
	const uint32_t tag = htonl(getpid() | 1u << 30);
	struct packet out = {.header = {own, port, 0, 0}};
	size_t body = init(&out, INIT, tag);
	for (long end = now() + patience, again = 0; now() < end;) {
		if (now() >= again) {
			tell(fd, &peer, length, &out, body);
			again = now() + 500;
		}
		struct packet in;
		struct sockaddr_storage from;
		socklen_t size;
		if (!heard(fd, peer.ss_family, 100, &in, &from, &size) || in.header.destination != own || in.header.source != port)
			continue;
		if (in.chunk.type == COOKIE_ACK)
			return 0;
		if (in.chunk.type == INIT_ACK) {
			memcpy(&out.header.tag, in.body, 4);
			out.chunk.type = COOKIE_ECHO;
			memcpy(out.body, in.body + 20, 4);
			body = 4;
			again = 0;
		}
	}
	fputs("TIMEOUT\n", stderr);
	return 1;
}

int main(int count, char **words)
{
	int sockets = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (sockets < 0 && count > 1 && strcmp(words[1], "porter") == 0) {
		extern char **environ;
		uint16_t ports[16];
		int n = 0;
		for (char **e = environ; *e && n < 16; e++)
			if (strncmp(*e, "SERVE_SCTP_PORT_", 16) == 0)
				ports[n++] = atoi(*e + 16);
		if (n > 0)
			return serve(ports, n);
	}
	if (sockets < 0 && count > 1 && strcmp(words[1], "connect") == 0) {
		char *to = NULL;
		int sctp = 0, patience = 10000;
		for (int i = 2; i < count; i++)
			if (strcmp(words[i], "--protocol=sctp") == 0)
				sctp = 1;
			else if (strncmp(words[i], "--timeout=", 10) == 0)
				patience = strstr(words[i], "ms") ? atoi(words[i] + 10) : atoi(words[i] + 10) * 1000;
			else if (words[i][0] != '-')
				to = words[i];
		if (sctp && to)
			return dial(to, patience);
	}
	if (sockets >= 0)
		close(sockets);
	words[0] = "/agnhost.real";
	execv(words[0], words);
	perror(words[0]);
	return 127;
}
