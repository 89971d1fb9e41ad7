// SPDX-License-Identifier: Apache-2.0
// Load generator of the path bench, IPv4 and IPv6, client and server in one program.
//
//   netbench serve PORT              TCP and UDP echo on PORT, TCP sink on PORT+1, UDP hole on PORT+2
//   netbench client ADDRESS PORT     reads commands from stdin, prints one number per line:
//     rr SECONDS       ns per TCP request and response of one byte over one connection
//     crr SECONDS      ns per TCP connect, request, response, close
//     urr SECONDS      ns per UDP request and response of one byte
//     blast SECONDS    ns per UDP packet of 64 bytes sent to a socket nobody reads
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

static int open_socket(int type, const struct sockaddr_in6 *bind_to)
{
	int one = 1, off = 0, s = socket(AF_INET6, type, 0);
	if (s < 0)
		fail("socket");
	setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind_to && bind(s, (void *)bind_to, sizeof *bind_to))
		fail("bind");
	return s;
}

static void watch(int epoll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		fail("epoll_ctl");
}

static void serve(int port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int echo = open_socket(SOCK_STREAM | SOCK_NONBLOCK, &at), udp = open_socket(SOCK_DGRAM | SOCK_NONBLOCK, &at);
	at.sin6_port = htons(port + 1);
	int sink = open_socket(SOCK_STREAM | SOCK_NONBLOCK, &at);
	at.sin6_port = htons(port + 2);
	int hole = open_socket(SOCK_DGRAM, &at), tiny = 4096;
	setsockopt(hole, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
	if (listen(echo, 4096) || listen(sink, 64))
		fail("listen");
	int ep = epoll_create1(0), one = 1;
	watch(ep, echo), watch(ep, udp), watch(ep, sink);
	static char buffer[1 << 18];
	static char is_sink[65536];
	puts("ready"), fflush(stdout);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(ep, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == echo || fd == sink) {
				int s;
				while ((s = accept4(fd, 0, 0, SOCK_NONBLOCK)) >= 0) {
					setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					is_sink[s] = fd == sink;
					watch(ep, s);
				}
			} else if (fd == udp) {
				struct sockaddr_in6 peer;
				socklen_t size = sizeof peer;
				ssize_t r;
				while ((r = recvfrom(udp, buffer, 2048, 0, (void *)&peer, &size)) >= 0)
					sendto(udp, buffer, r, 0, (void *)&peer, size), size = sizeof peer;
			} else {
				ssize_t r = read(fd, buffer, is_sink[fd] ? sizeof buffer : 2048);
				if (r <= 0 && !(r < 0 && errno == EAGAIN))
					close(fd);
				else if (r > 0 && !is_sink[fd] && write(fd, buffer, r) < 0)
					close(fd);
			}
		}
	}
}

static struct sockaddr_in6 resolve(const char *host, int port)
{
	struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_V4MAPPED | AI_NUMERICHOST}, *found;
	int e = getaddrinfo(host, NULL, &hints, &found);
	if (e) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(e));
		exit(1);
	}
	struct sockaddr_in6 a = *(struct sockaddr_in6 *)found->ai_addr;
	a.sin6_port = htons(port);
	freeaddrinfo(found);
	return a;
}

static int dial(int type, struct sockaddr_in6 to)
{
	int one = 1, s = open_socket(type, NULL);
	struct timeval two = {.tv_sec = 2};
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof two);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &two, sizeof two);
	if (connect(s, (void *)&to, sizeof to))
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

static double request_response(int type, struct sockaddr_in6 to, double seconds)
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

static double connect_request_response(struct sockaddr_in6 to, double seconds)
{
	double start = now(), end = start;
	long n = 0;
	struct linger reset = {.l_onoff = 0};
	do {
		int s = dial(SOCK_STREAM, to);
		setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		round_trip(s);
		close(s);
		n++;
	} while ((end = now()) < start + seconds);
	return (end - start) / n * 1e9;
}

static double blast(struct sockaddr_in6 to, double seconds)
{
	to.sin6_port = htons(ntohs(to.sin6_port) + 2);
	int s = dial(SOCK_DGRAM, to);
	char packet[64] = {0};
	long n = 0;
	double start = now(), end = start;
	do {
		for (int i = 0; i < 64; i++)
			if (send(s, packet, sizeof packet, 0) < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
				fail("send");
		n += 64;
	} while ((end = now()) < start + seconds);
	close(s);
	return (end - start) / n * 1e9;
}

static double stream(struct sockaddr_in6 to, double seconds)
{
	to.sin6_port = htons(ntohs(to.sin6_port) + 1);
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
	struct sockaddr_in6 to = resolve(argv[2], atoi(argv[3]));
	char verb[16];
	double seconds;
	while (scanf("%15s %lf", verb, &seconds) == 2) {
		double v = !strcmp(verb, "rr")	     ? request_response(SOCK_STREAM, to, seconds)
			   : !strcmp(verb, "urr")    ? request_response(SOCK_DGRAM, to, seconds)
			   : !strcmp(verb, "crr")    ? connect_request_response(to, seconds)
			   : !strcmp(verb, "blast")  ? blast(to, seconds)
			   : !strcmp(verb, "stream") ? stream(to, seconds)
						     : -1;
		printf("%.3f\n", v);
		fflush(stdout);
	}
	return 0;
}
