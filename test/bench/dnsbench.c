// SPDX-License-Identifier: Apache-2.0
/* A name server that answers every question for nN… with one address, 198.18.0.0 + N, and those who ask it.
 *   dnsbench serve PORT...                   until it is killed; prints 'ready'
 *   dnsbench echo PORT                       sends datagrams back from the address they came to; prints 'ready'
 *   dnsbench ask ADDRESS PORT COUNT          one question after the other: prints p50 and p99 in microseconds, and lost ones
 *   dnsbench flood ADDRESS PORT SECONDS N    N under way at all times, from eight sockets: prints answers in a second, lost ones
 *   dnsbench look ADDRESS PORT FIRST COUNT ECHO N   as many names from FIRST on, N under way, and to each address at once a
 *                                            datagram to port ECHO: prints p50 and p99 of an answer in microseconds, questions
 *                                            without an answer, datagrams without an echo, and seconds of all
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAMES 64
#define SOCKETS 8

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int serve(int count, char **ports)
{
	unsigned char answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 1};
	struct pollfd fds[4];
	unsigned char m[1500];

	if (count > 4)
		return 2;
	for (int i = 0; i < count; i++) {
		struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(ports[i]))};
		fds[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
		fds[i].events = POLLIN;
		if (bind(fds[i].fd, (struct sockaddr *)&own, sizeof(own)))
			fail("bind");
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(fds, count, -1);
		for (int i = 0; i < count; i++) {
			struct sockaddr_in from;
			socklen_t size = sizeof(from);
			ssize_t n;
			while ((n = recvfrom(fds[i].fd, m, sizeof(m) - sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&from,
					     &size)) > 0) {
				uint32_t number = 0xc6120000u + strtoul((char *)m + 14, 0, 10);
				for (int b = 0; b < 4; b++)
					answer[12 + b] = number >> (24 - 8 * b);
				m[2] |= 0x84;
				m[3] = 0x80;
				m[7] = 1;
				memcpy(m + n, answer, sizeof(answer));
				sendto(fds[i].fd, m, n + sizeof(answer), 0, (struct sockaddr *)&from, size);
			}
		}
	}
}

static _Noreturn void echo(const char *port)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(port))}, from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, room = 4 << 20;
	char m[1500], control[CMSG_SPACE(sizeof(struct in_pktinfo))];

	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		fail("bind");
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct iovec part = {m, sizeof(m)};
		struct msghdr h = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1,
				   .msg_control = control, .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &h, 0);
		struct cmsghdr *c = n < 0 ? 0 : CMSG_FIRSTHDR(&h);
		if (!c || c->cmsg_type != IP_PKTINFO)
			continue;
		struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(c);
		info->ipi_spec_dst = info->ipi_addr;
		info->ipi_ifindex = 0;
		part.iov_len = n;
		sendmsg(fd, &h, 0);
	}
}

static int named(unsigned char *m, uint16_t id, unsigned number)
{
	static const unsigned char header[12] = {0, 0, 1, 0, 0, 1};
	int n = sizeof(header);

	memcpy(m, header, sizeof(header));
	m[0] = id >> 8;
	m[1] = id;
	n += sprintf((char *)m + n, "%c%c%06u%cbench%ctest", 7, 'n', number, 5, 4) + 1;
	memcpy(m + n, (unsigned char[]){0, 1, 0, 1}, 4);
	return n + 4;
}

static int question(unsigned char *m, uint16_t id)
{
	return named(m, id, id % NAMES);
}

static int open_to(const char *address, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	return fd;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int ask(char **words)
{
	int fd = open_to(words[0], words[1]), count = atoi(words[2]), lost = 0, got = 0;
	uint64_t *times = calloc(count, sizeof(*times));
	unsigned char m[1500];

	for (int i = 0; i < count; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t start = now();
		uint16_t id = i;
		send(fd, m, question(m, id), 0);
		for (;;) {
			if (poll(&p, 1, 3000) <= 0) {
				lost++;
				break;
			}
			if (recv(fd, m, sizeof(m), 0) >= 12 && m[0] == id >> 8 && m[1] == (id & 255)) {
				times[got++] = now() - start;
				break;
			}
		}
	}
	qsort(times, got, sizeof(*times), by_size);
	printf("%.1f %.1f %d\n", times[got / 2] / 1e3, times[got * 99 / 100] / 1e3, lost);
	return 0;
}

static int flood(char **words)
{
	int fds[SOCKETS], seconds = atoi(words[2]), n = atoi(words[3]);
	struct pollfd polls[SOCKETS];
	uint64_t end, answers = 0, lost = 0;
	unsigned char m[1500];
	uint16_t id = 0;

	for (int i = 0; i < SOCKETS; i++) {
		fds[i] = open_to(words[0], words[1]);
		polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	}
	for (int i = 0; i < n; i++, id++)
		send(fds[i % SOCKETS], m, question(m, id), 0);
	end = now() + (uint64_t)seconds * 1000000000;
	while (now() < end) {
		if (poll(polls, SOCKETS, 1000) <= 0) { /* all of them are lost: begin anew */
			lost += n;
			for (int i = 0; i < n; i++, id++)
				send(fds[i % SOCKETS], m, question(m, id), 0);
			continue;
		}
		for (int i = 0; i < SOCKETS; i++)
			while (polls[i].revents && recv(fds[i], m, sizeof(m), MSG_DONTWAIT) >= 12) {
				if ((m[3] & 15) == 0)
					answers++;
				else
					lost++;
				send(fds[i], m, question(m, id), 0);
				id++;
			}
	}
	printf("%.0f %llu\n", (double)answers / seconds, (unsigned long long)lost);
	return 0;
}

/* A look-up: asked at `since` (0: free), then its datagram was sent at `since` and its echo has not come. */
struct look {
	uint64_t since;
	unsigned number;
	int answered;
};

static int look(char **words)
{
	int dns = open_to(words[0], words[1]), data = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
	unsigned next = atoi(words[2]), end = next + atoi(words[3]), n = atoi(words[5]), silent = 0, lost = 0, open = 0;
	uint64_t *times = calloc(end - next, sizeof(*times)), begun = now(), patience = 5000000000;
	struct look *looks = calloc(n, sizeof(*looks));
	struct pollfd fds[2] = {{.fd = dns, .events = POLLIN}, {.fd = data, .events = POLLIN}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(words[4]))};
	unsigned char m[1500];
	size_t got = 0;
	ssize_t size;

	setsockopt(data, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	while (next < end || open > 0) {
		for (unsigned i = 0; i < n; i++) {
			if (looks[i].since && now() - looks[i].since > patience) {
				*(looks[i].answered ? &lost : &silent) += 1;
				looks[i].since = 0;
				open--;
			}
			if (looks[i].since || next == end)
				continue;
			looks[i] = (struct look){now(), next, 0};
			send(dns, m, named(m, i << 8 | (next & 255), next), 0);
			next++;
			open++;
		}
		poll(fds, 2, 100);
		while ((size = recv(dns, m, sizeof(m), MSG_DONTWAIT)) > 28) {
			struct look *l = &looks[m[0] % n];
			if (!l->since || l->answered || m[1] != (l->number & 255) || (m[3] & 15))
				continue;
			uint64_t answered = now();
			times[got++] = answered - l->since;
			l->since = answered; /* the datagram has all its time, however late the answer was */
			l->answered = 1;
			memcpy(&to.sin_addr, m + size - 4, 4);
			sendto(data, &l->number, sizeof(l->number), 0, (struct sockaddr *)&to, sizeof(to));
		}
		unsigned number;
		while (recv(data, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number))
			for (unsigned i = 0; i < n; i++)
				if (looks[i].since && looks[i].number == number) {
					looks[i].since = 0;
					open--;
				}
	}
	qsort(times, got, sizeof(*times), by_size);
	printf("%.1f %.1f %u %u %.1f\n", got ? times[got / 2] / 1e3 : 0, got ? times[got * 99 / 100] / 1e3 : 0, silent, lost,
	       (now() - begun) / 1e9);
	return 0;
}

int main(int count, char **words)
{
	if (count > 2 && !strcmp(words[1], "serve"))
		return serve(count - 2, words + 2);
	if (count == 5 && !strcmp(words[1], "ask"))
		return ask(words + 2);
	if (count == 6 && !strcmp(words[1], "flood"))
		return flood(words + 2);
	if (count == 8 && !strcmp(words[1], "look"))
		return look(words + 2);
	if (count == 3 && !strcmp(words[1], "echo"))
		echo(words[2]);
	fprintf(stderr, "dnsbench serve PORT... | echo PORT | ask ADDRESS PORT COUNT | flood ADDRESS PORT SECONDS N | look ADDRESS "
			"PORT FIRST COUNT ECHO N\n");
	return 2;
}
