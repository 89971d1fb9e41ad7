// SPDX-License-Identifier: Apache-2.0
// Load generator of the path bench, IPv4 and IPv6, client and server in one program.
//
//   netbench serve PORT              TCP and UDP echo on PORT, TCP sink on PORT+1, UDP hole on PORT+2
//   netbench client ADDRESS PORT     reads commands from stdin, prints one number per line:
//     rr SECONDS       ns per TCP request and response of one byte over one connection
//     crr SECONDS      ns per TCP connect, request, response, close
//     urr SECONDS      ns per UDP request and response of one byte
//     blast SECONDS    ns per UDP packet of 64 bytes sent to a socket nobody reads
//     denied SECONDS   the same to PORT-1, which a policy may refuse
//     flows SECONDS    ns per UDP packet from a new socket each
//     last SECONDS     milliseconds since the epoch of the last UDP answer before they stopped
//     stream SECONDS   Gbit/s of TCP in writes of 128 kB
//   --pin CPU before the verb pins to a CPU under SCHED_FIFO, so that a figure is the cost of the whole path on one CPU.
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

/* One address of either family. Sockets are of the family itself: an IPv4-mapped one would cost more than IPv4 does. */
struct end {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

static void set_port(struct end *e, int port)
{
	if (e->any.sa_family == AF_INET)
		e->v4.sin_port = htons(port);
	else
		e->v6.sin6_port = htons(port);
}

static struct end anywhere(int family, int port)
{
	struct end e = {.size = family == AF_INET ? sizeof e.v4 : sizeof e.v6};
	e.any.sa_family = family;
	set_port(&e, port);
	return e;
}

static int open_socket(int family, int type, const struct end *bind_to)
{
	int one = 1, s = socket(family, type, 0);
	if (s < 0)
		fail("socket");
	if (family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind_to && bind(s, &bind_to->any, bind_to->size))
		fail("bind");
	return s;
}

static void watch(int epoll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		fail("epoll_ctl");
}

enum role { LISTENS_ECHO = 1, LISTENS_SINK, ECHOES_UDP, ECHOES, SINKS };

static void serve(int port)
{
	static char buffer[1 << 18], role[65536];
	int ep = epoll_create1(0), one = 1, tiny = 4096;
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		struct end echo_at = anywhere(family, port), sink_at = anywhere(family, port + 1),
			   hole_at = anywhere(family, port + 2);
		int echo = open_socket(family, SOCK_STREAM | SOCK_NONBLOCK, &echo_at);
		int udp = open_socket(family, SOCK_DGRAM | SOCK_NONBLOCK, &echo_at);
		int sink = open_socket(family, SOCK_STREAM | SOCK_NONBLOCK, &sink_at);
		int hole = open_socket(family, SOCK_DGRAM, &hole_at);
		setsockopt(hole, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
		if (listen(echo, 4096) || listen(sink, 64))
			fail("listen");
		role[echo] = LISTENS_ECHO, role[sink] = LISTENS_SINK, role[udp] = ECHOES_UDP;
		watch(ep, echo), watch(ep, udp), watch(ep, sink);
	}
	puts("ready"), fflush(stdout);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(ep, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd, s;
			struct end peer = {.size = sizeof peer.v6};
			ssize_t r;
			switch (role[fd]) {
			case LISTENS_ECHO:
			case LISTENS_SINK:
				while ((s = accept4(fd, 0, 0, SOCK_NONBLOCK)) >= 0) {
					setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					role[s] = role[fd] == LISTENS_SINK ? SINKS : ECHOES;
					watch(ep, s);
				}
				break;
			case ECHOES_UDP:
				while ((r = recvfrom(fd, buffer, 2048, 0, &peer.any, &peer.size)) >= 0)
					sendto(fd, buffer, r, 0, &peer.any, peer.size), peer.size = sizeof peer.v6;
				break;
			default:
				r = read(fd, buffer, role[fd] == SINKS ? sizeof buffer : 2048);
				if (r <= 0 && !(r < 0 && errno == EAGAIN))
					close(fd);
				else if (r > 0 && role[fd] == ECHOES && write(fd, buffer, r) < 0)
					close(fd);
			}
		}
	}
}

static struct end resolve(const char *host, int port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found;
	int error = getaddrinfo(host, NULL, &hints, &found);
	if (error) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
		exit(1);
	}
	struct end e = {.size = found->ai_addrlen};
	memcpy(&e.any, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	set_port(&e, port);
	return e;
}

static int dial(int type, struct end to)
{
	int one = 1, s = open_socket(to.any.sa_family, type, NULL);
	struct timeval two = {.tv_sec = 2};
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof two);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &two, sizeof two);
	if (connect(s, &to.any, to.size))
		fail("connect");
	if (type == SOCK_STREAM)
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return s;
}

static void round_trip(int s)
{
	char byte = 1;
	if (write(s, &byte, 1) != 1 || read(s, &byte, 1) != 1)
		fail("round trip");
}

static double request_response(int type, struct end to, double seconds)
{
	int s = dial(type, to);
	long n = 0;
	round_trip(s);
	double start = now(), end = start;
	do {
		for (int i = 0; i < 16; i++)
			round_trip(s);
		n += 16;
	} while ((end = now()) < start + seconds);
	close(s);
	return (end - start) / n * 1e9;
}

/* Closed connections wait a minute for late packets. Some ten thousand of them, and finding a free port is all that is
 * measured: few may wait in this network namespace. */
static void forget_closed(void)
{
	FILE *limit = fopen("/proc/sys/net/ipv4/tcp_max_tw_buckets", "w");
	if (!limit || fputs("64", limit) < 0 || fclose(limit))
		fail("tcp_max_tw_buckets");
}

static double connect_request_response(struct end to, double seconds)
{
	double start = now(), end = start;
	long n = 0;
	do {
		int s = dial(SOCK_STREAM, to);
		round_trip(s);
		close(s);
		n++;
	} while ((end = now()) < start + seconds);
	return (end - start) / n * 1e9;
}

/* Milliseconds since the epoch of the last answer before none came for 200 ms. It asks five times a millisecond at most, so
 * that a CPU is left for those who are to refuse it. */
static double last_answer(struct end to, double seconds)
{
	struct timeval patience = {.tv_usec = 200000};
	struct timespec t = {0};
	int s = dial(SOCK_DGRAM, to);
	char byte = 1;
	double start = now();
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (now() < start + seconds && write(s, &byte, 1) == 1 && read(s, &byte, 1) == 1) {
		clock_gettime(CLOCK_REALTIME, &t);
		usleep(150);
	}
	close(s);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* Thirty-two packets a system call, so that the figure is the path and not the call. */
static double blast(struct end to, double seconds)
{
	enum { BATCH = 32 };
	int s = dial(SOCK_DGRAM, to);
	static char packet[64];
	static struct mmsghdr messages[BATCH];
	static struct iovec vector = {.iov_base = packet, .iov_len = sizeof packet};
	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
	long n = 0;
	double start = now(), end = start;
	do {
		int sent = sendmmsg(s, messages, BATCH, 0);
		if (sent < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
			fail("sendmmsg");
		n += sent > 0 ? sent : 0;
	} while ((end = now()) < start + seconds);
	close(s);
	return (end - start) / n * 1e9;
}

/* Every packet opens a flow: a socket, and so a source port, of its own. */
static double flows(struct end to, double seconds)
{
	char byte = 1;
	long n = 0;
	double start = now(), end = start;
	do {
		int s = dial(SOCK_DGRAM, to);
		if (write(s, &byte, 1) < 0 && errno != ECONNREFUSED)
			fail("write");
		close(s);
		n++;
	} while ((end = now()) < start + seconds);
	return (end - start) / n * 1e9;
}

static double stream(struct end to, double seconds)
{
	int s = dial(SOCK_STREAM, to);
	static char block[1 << 17];
	double bytes = 0, start = now(), end = start;
	do {
		ssize_t r = write(s, block, sizeof block);
		if (r < 0)
			fail("write");
		bytes += r;
	} while ((end = now()) < start + seconds);
	close(s);
	return bytes * 8 / (end - start) / 1e9;
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "--pin")) {
		cpu_set_t cpus;
		struct sched_param priority = {.sched_priority = 10};
		CPU_ZERO(&cpus);
		CPU_SET(atoi(argv[2]), &cpus);
		if (sched_setaffinity(0, sizeof cpus, &cpus) || sched_setscheduler(0, SCHED_FIFO, &priority))
			fail("pin");
		argc -= 2, argv += 2;
	}
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc != 4 || strcmp(argv[1], "client")) {
		fprintf(stderr, "usage: netbench [--pin CPU] serve PORT | client ADDRESS PORT\n");
		return 2;
	}
	forget_closed();
	int port = atoi(argv[3]);
	struct end echo = resolve(argv[2], port), sink = resolve(argv[2], port + 1), hole = resolve(argv[2], port + 2),
		   denied = resolve(argv[2], port - 1);
	char verb[16];
	double seconds;
	while (scanf("%15s %lf", verb, &seconds) == 2) {
		double v = !strcmp(verb, "rr")	     ? request_response(SOCK_STREAM, echo, seconds)
			   : !strcmp(verb, "urr")    ? request_response(SOCK_DGRAM, echo, seconds)
			   : !strcmp(verb, "crr")    ? connect_request_response(echo, seconds)
			   : !strcmp(verb, "blast")  ? blast(hole, seconds)
			   : !strcmp(verb, "denied") ? blast(denied, seconds)
			   : !strcmp(verb, "flows")  ? flows(hole, seconds)
			   : !strcmp(verb, "last")   ? last_answer(echo, seconds)
			   : !strcmp(verb, "stream") ? stream(sink, seconds)
						     : -1;
		printf("%.3f\n", v);
		fflush(stdout);
	}
	return 0;
}
