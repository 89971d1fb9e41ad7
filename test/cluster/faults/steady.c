// SPDX-License-Identifier: Apache-2.0
// Constant small traffic that notices every fault of the network, to run while something is broken on purpose.
//
//   steady probe PORT ADDRESS...     asks addresses that must not answer: a datagram every millisecond from one socket, and
//                                    new sockets as above; until stdin ends, then prints: ADDRESS asked N answered N
//   steady flood PORT ADDRESS COUNT  a datagram from each of so many new sockets
//   steady serve PORT                echoes TCP and UDP, IPv4 and IPv6
//   steady client PORT ADDRESS...    to each address, until stdin ends: one long-lived TCP connection and one connected
//                                    UDP socket with a numbered message every tick, and every tick a new connection and
//                                    a new unconnected UDP socket with one message each; then prints a line per address:
//                                    ADDRESS long N short N udp N lost N reset N refused N stalled N resent N
//
// lost: datagrams without an answer. reset, refused: connections that ended so. stalled: new connections that were not
// answered within STALL, or the long one without an answer for as long. resent: SYNs that had to be sent again.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TICK 20e-3
#define STALL 5.0
#define GRACE 3.0
#define MOST 4096

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- server --- */

static int serving(int family, int type, int port)
{
	int one = 1, large = 1 << 20, s = socket(family, type | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	if (s < 0)
		fail("socket");
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	/* A busy machine keeps us waiting; that is not what is looked for. */
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
	if (family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (family == AF_INET6 ? bind(s, (void *)&six, sizeof six) : bind(s, (void *)&four, sizeof four))
		fail("bind");
	if (type == SOCK_STREAM && listen(s, 1024))
		fail("listen");
	return s;
}

__attribute__((noreturn)) static void serve(int port)
{
	int epoll = epoll_create1(0), fixed[4];
	for (int i = 0; i < 4; i++) {
		fixed[i] = serving(i & 1 ? AF_INET6 : AF_INET, i & 2 ? SOCK_DGRAM : SOCK_STREAM, port);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fixed[i], &(struct epoll_event){.events = EPOLLIN, .data.fd = fixed[i]});
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			char b[256];
			int fd = events[i].data.fd;
			struct sockaddr_storage from;
			socklen_t size = sizeof from;
			if (fd == fixed[0] || fd == fixed[1]) {
				int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
				if (c >= 0)
					epoll_ctl(epoll, EPOLL_CTL_ADD, c, &(struct epoll_event){.events = EPOLLIN, .data.fd = c});
			} else if (fd == fixed[2] || fd == fixed[3]) {
				ssize_t got = recvfrom(fd, b, sizeof b, 0, (void *)&from, &size);
				if (got >= 0)
					sendto(fd, b, got, 0, (void *)&from, size);
			} else {
				ssize_t got = read(fd, b, sizeof b);
				if (got > 0 && write(fd, b, got) == got)
					continue;
				if (got < 0 && errno == EAGAIN)
					continue;
				close(fd);
			}
		}
	}
}

/* --- client --- */

struct target {
	const char *name;
	struct sockaddr_storage to;
	socklen_t size;
	int tcp, udp;
	unsigned sent, got;	/* bytes of the long connection, which carries its own count */
	double heard;		/* when the long connection last had nothing outstanding */
	long longs, shorts, udps, asked, lost, reset, refused, stalled, resent;
};

struct fresh {			/* a new connection or datagram socket on its way */
	struct target *of;
	double since;
	int fd, stream, connected;
};

static struct fresh fresh[MOST];

static int client_socket(struct target *t, int type)
{
	int one = 1, s = socket(t->to.ss_family, type | SOCK_NONBLOCK, 0);
	if (s < 0)
		fail("socket");
	if (type == SOCK_STREAM)
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return s;
}

static void blame(struct target *t, int error)
{
	if (error == ECONNREFUSED)
		t->refused++;
	else if (error == ETIMEDOUT)
		t->stalled++;
	else
		t->reset++;
}

static void forget(struct fresh *f)
{
	struct tcp_info info;
	socklen_t size = sizeof info;
	/* One message each way: what is resent before it was answered is the SYN or that message. */
	if (f->stream && !getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &info, &size) && !f->connected)
		f->of->resent += info.tcpi_total_retrans;
	close(f->fd);
	f->of = NULL;
}

static void begin(struct target *t, int stream)
{
	for (struct fresh *f = fresh; f < fresh + MOST; f++) {
		if (f->of)
			continue;
		*f = (struct fresh){.of = t, .since = now(), .fd = client_socket(t, stream ? SOCK_STREAM : SOCK_DGRAM), .stream = stream};
		if (stream ? connect(f->fd, (void *)&t->to, t->size) && errno != EINPROGRESS
			   : sendto(f->fd, "u", 1, 0, (void *)&t->to, t->size) != 1) {
			blame(t, errno);
			forget(f);
		}
		return;
	}
	t->stalled++;		/* none of thousands has come back */
}

/* Looks how far one has come. */
static void advance(struct fresh *f)
{
	char b[16];
	int error = 0;
	socklen_t size = sizeof error;
	struct target *t = f->of;
	ssize_t n;
	if (f->stream && !f->connected) {
		struct tcp_info info;
		size = sizeof info;
		if (getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
			fail("TCP_INFO");
		if (info.tcpi_state == TCP_SYN_SENT)
			goto late;
		size = sizeof error;
		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		t->resent += info.tcpi_total_retrans;
		f->connected = 1;
		if (error || write(f->fd, "c", 1) != 1) {
			blame(t, error ? error : errno);
			forget(f);
			return;
		}
	}
	n = recv(f->fd, b, sizeof b, 0);
	if (n == 1) {
		if (f->stream)
			t->shorts++;
		else
			t->udps++;
		forget(f);
		return;
	}
	if (n >= 0 || errno != EAGAIN) {
		blame(t, n >= 0 ? ECONNRESET : errno);
		forget(f);
		return;
	}
late:
	if (now() - f->since > STALL) {
		if (f->stream)
			t->stalled++;
		else
			t->lost++;
		forget(f);
	}
}

/* The long connection and the connected UDP socket: takes what came, sends one more of each. */
static void talk(struct target *t, int more)
{
	char b[4096];
	ssize_t n;
	while (t->tcp >= 0 && (n = recv(t->tcp, b, sizeof b, 0)) != -1) {
		for (ssize_t i = 0; i < n; i++)
			if ((unsigned char)b[i] != (unsigned char)t->got++)
				t->lost++;	/* TCP does not lose: something answered that is not the server */
		t->longs += n;
		if (n)
			continue;
		errno = ECONNRESET;
		break;
	}
	if (t->tcp >= 0 && errno != EAGAIN) {
		blame(t, errno);
		close(t->tcp);
		t->tcp = -1;
	}
	if (t->sent == t->got)
		t->heard = now();
	else if (now() - t->heard > STALL) {
		t->stalled++;
		t->heard = now();
	}
	while ((n = recv(t->udp, b, sizeof b, 0)) >= 0)
		t->udps++, t->asked--;
	if (errno != EAGAIN)
		blame(t, errno);
	if (!more)
		return;
	if (t->tcp >= 0) {
		b[0] = (char)t->sent;
		if (send(t->tcp, b, 1, MSG_NOSIGNAL) == 1)
			t->sent++;
	}
	if (send(t->udp, "d", 1, 0) == 1)
		t->asked++;
	else
		blame(t, errno);
}

static void find_target(struct target *t, const char *address, const char *port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;
	if (getaddrinfo(address, port, &hints, &found))
		fail(address);
	t->name = address;
	memcpy(&t->to, found->ai_addr, t->size = found->ai_addrlen);
	freeaddrinfo(found);
}

static void open_target(struct target *t, const char *address, const char *port)
{
	find_target(t, address, port);
	t->tcp = socket(t->to.ss_family, SOCK_STREAM, 0);
	int one = 1;
	setsockopt(t->tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(t->tcp, (void *)&t->to, t->size))
		fail(address);
	t->udp = client_socket(t, SOCK_DGRAM);
	if (connect(t->udp, (void *)&t->to, t->size))
		fail(address);
	fcntl(t->tcp, F_SETFL, O_NONBLOCK);
	t->heard = now();
}

static int stdin_ended(void)
{
	char b[64];
	struct timeval none = {0};
	fd_set set;
	FD_ZERO(&set);
	FD_SET(0, &set);
	return select(1, &set, NULL, NULL, &none) == 1 && read(0, b, sizeof b) <= 0;
}

static void tick(struct target *targets, int count, int more)
{
	double began = now();
	for (int i = 0; i < count; i++) {
		talk(&targets[i], more);
		for (int stream = 0; more && stream < 2; stream++)
			begin(&targets[i], stream);
	}
	for (struct fresh *f = fresh; f < fresh + MOST; f++)
		if (f->of)
			advance(f);
	double left = TICK - (now() - began);
	if (left > 0)
		usleep((useconds_t)(left * 1e6));
}

/* The other way round: whatever comes back is a fault. */
static int probe(const char *port, int count, char **addresses)
{
	struct target *targets = calloc(count, sizeof *targets);
	long *asked = calloc(count, sizeof *asked);
	char b[64];
	for (int i = 0; i < count; i++) {
		struct target *t = &targets[i];
		find_target(t, addresses[i], port);
		t->udp = client_socket(t, SOCK_DGRAM);
		if (connect(t->udp, (void *)&t->to, t->size))
			fail(addresses[i]);
	}
	puts("ready");
	fflush(stdout);
	for (long round = 0; !stdin_ended(); round++) {
		for (int i = 0; i < count; i++) {
			struct target *t = &targets[i];
			while (recv(t->udp, b, sizeof b, 0) >= 0)
				t->udps++;
			if (send(t->udp, "d", 1, 0) == 1)
				asked[i]++;
			for (int stream = 0; round % 10 == 0 && stream < 2; stream++, asked[i]++)
				begin(t, stream);
		}
		for (struct fresh *f = fresh; f < fresh + MOST; f++)
			if (f->of)
				advance(f);
		usleep(1000);
	}
	for (int i = 0; i < count; i++)
		printf("%s asked %ld answered %ld\n", targets[i].name, asked[i],
		       targets[i].udps + targets[i].shorts + targets[i].reset + targets[i].refused);
	return 0;
}

static int outstanding(struct target *targets, int count)
{
	for (int i = 0; i < count; i++)
		if ((targets[i].tcp >= 0 && targets[i].sent != targets[i].got) || targets[i].asked > 0)
			return 1;
	for (struct fresh *f = fresh; f < fresh + MOST; f++)
		if (f->of)
			return 1;
	return 0;
}

static int client(const char *port, int count, char **addresses)
{
	struct target *targets = calloc(count, sizeof *targets);
	for (int i = 0; i < count; i++)
		open_target(&targets[i], addresses[i], port);
	puts("ready");
	fflush(stdout);
	while (!stdin_ended())
		tick(targets, count, 1);
	double until = now() + GRACE;
	while (now() < until && outstanding(targets, count))
		tick(targets, count, 0);
	for (struct fresh *f = fresh; f < fresh + MOST; f++)
		if (f->of) {
			if (f->stream)
				f->of->stalled++;
			else
				f->of->lost++;
		}
	for (struct target *t = targets; t < targets + count; t++) {
		if (t->tcp >= 0 && t->sent != t->got)
			t->stalled++;
		printf("%s long %ld short %ld udp %ld lost %ld reset %ld refused %ld stalled %ld resent %ld\n", t->name,
		       t->longs, t->shorts, t->udps, t->lost + t->asked, t->reset, t->refused, t->stalled, t->resent);
	}
	return 0;
}

/* Datagrams to a closed port are flows too: as many new ones as asked for, as fast as they go. */
static int flood(const char *port, const char *address, long count)
{
	struct target t = {0};
	find_target(&t, address, port);
	for (long i = 0; i < count; i++) {
		int s = client_socket(&t, SOCK_DGRAM);
		sendto(s, "f", 1, 0, (void *)&t.to, t.size);
		close(s);
	}
	printf("%s %ld\n", address, count);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc > 3 && !strcmp(argv[1], "client"))
		return client(argv[2], argc - 3, argv + 3);
	if (argc > 3 && !strcmp(argv[1], "probe"))
		return probe(argv[2], argc - 3, argv + 3);
	if (argc == 5 && !strcmp(argv[1], "flood"))
		return flood(argv[2], argv[3], atol(argv[4]));
	fputs("steady serve PORT | steady client|probe PORT ADDRESS... | steady flood PORT ADDRESS COUNT\n", stderr);
	return 2;
}
