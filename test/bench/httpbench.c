// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.1 for the bench, as little of it as may be: `serve PORT` answers every request with 100 bytes; `ask ADDRESS PORT
 * PATH CONNECTIONS SECONDS` asks on each connection as soon as it is answered, and prints requests per second and the
 * latency at 50 and 99 percent in microseconds, and what was not answered with 200. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 8192
#define MOST 1024

struct connection {
	int fd;
	size_t have;
	uint64_t asked;
	char buffer[ROOM];
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "httpbench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int watch(int epoll, struct connection *c)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static _Noreturn void serve(int port)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
				     "0123456789012345678901234567890123456789012345678\n"
				     "0123456789012345678901234567890123456789012345678\n";
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct connection listener = {.fd = socket(AF_INET6, SOCK_STREAM, 0)};
	int epoll = epoll_create1(0), one = 1;

	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener.fd, (struct sockaddr *)&at, sizeof(at)) || listen(listener.fd, 1024) || watch(epoll, &listener))
		fail("listen");
	for (;;) {
		struct epoll_event events[64];
		int count = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < count; i++) {
			struct connection *c = events[i].data.ptr;
			if (c == &listener) {
				struct connection *fresh = calloc(1, sizeof(*fresh));
				if (!fresh || (fresh->fd = accept(listener.fd, 0, 0)) < 0 || watch(epoll, fresh))
					fail("accept");
				continue;
			}
			ssize_t got = read(c->fd, c->buffer + c->have, ROOM - 1 - c->have);
			if (got <= 0) {
				close(c->fd);
				free(c);
				continue;
			}
			c->have += got;
			c->buffer[c->have] = 0;
			for (char *end; (end = strstr(c->buffer, "\r\n\r\n"));) {
				size_t used = end + 4 - c->buffer;
				memmove(c->buffer, end + 4, c->have - used + 1);
				c->have -= used;
				if (write(c->fd, answer, sizeof(answer) - 1) < 0)
					break;
			}
		}
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static int ask(const char *address, int port, const char *path, int connections, double seconds)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	int is_six = strchr(address, ':') != 0, epoll = epoll_create1(0), length;
	static struct connection all[MOST];
	size_t room = 1 << 22, count = 0, refused = 0;
	uint32_t *latency = malloc(room * sizeof(*latency));
	char request[512];

	inet_pton(is_six ? AF_INET6 : AF_INET, address, is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
	length = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nhost: bench\r\n\r\n", path);
	for (int i = 0; i < connections && i < MOST; i++) {
		all[i].fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
		if (connect(all[i].fd, is_six ? (void *)&six : (void *)&four, is_six ? sizeof(six) : sizeof(four)))
			fail("connect");
		watch(epoll, &all[i]);
	}
	uint64_t start = now(), end = start + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < connections; i++) {
		all[i].asked = now();
		if (write(all[i].fd, request, length) < 0)
			fail("write");
	}
	while (now() < end) {
		struct epoll_event events[64];
		int ready = epoll_wait(epoll, events, 64, 100);
		for (int i = 0; i < ready; i++) {
			struct connection *c = events[i].data.ptr;
			ssize_t got = read(c->fd, c->buffer + c->have, ROOM - 1 - c->have);
			if (got <= 0)
				fail("read");
			c->have += got;
			c->buffer[c->have] = 0;
			char *body = strstr(c->buffer, "\r\n\r\n"), *size = strcasestr(c->buffer, "content-length:");
			if (!body || !size || c->have < (size_t)(body + 4 - c->buffer) + atoi(size + 15))
				continue;
			if (strncmp(c->buffer, "HTTP/1.1 200", 12))
				refused++;
			c->have = 0;
			uint64_t t = now();
			if (count < room)
				latency[count++] = (t - c->asked) / 100;
			c->asked = t;
			if (write(c->fd, request, length) < 0)
				fail("write");
		}
	}
	double took = (now() - start) / 1e9;
	qsort(latency, count, sizeof(*latency), by_value);
	printf("%.1f %.1f %.1f %zu\n", count / took, count ? latency[count / 2] / 10. : 0,
	       count ? latency[count * 99 / 100] / 10. : 0, refused);
	return 0;
}

/* Asks on one connection until the answer has this status, and prints the wall clock then, in microseconds. */
static int until(const char *address, int port, const char *path, const char *status)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	char request[512], buffer[ROOM], wanted[32];
	int length = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nhost: bench\r\n\r\n", path);
	int begins = snprintf(wanted, sizeof(wanted), "HTTP/1.1 %s", status);

	inet_pton(AF_INET, address, &four.sin_addr);
	if (connect(fd, (void *)&four, sizeof(four)))
		fail("connect");
	setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	for (uint64_t end = now() + 20000000000ull; now() < end; usleep(200)) {
		if (write(fd, request, length) < 0)
			fail("write");
		for (size_t have = 0;;) {
			ssize_t got = read(fd, buffer + have, ROOM - 1 - have);
			if (got <= 0)
				fail("read");
			have += got;
			buffer[have] = 0;
			char *body = strstr(buffer, "\r\n\r\n"), *size = strcasestr(buffer, "content-length:");
			if (body && size && have >= (size_t)(body + 4 - buffer) + atoi(size + 15))
				break;
		}
		if (!strncmp(buffer, wanted, begins)) {
			struct timespec t;
			clock_gettime(CLOCK_REALTIME, &t);
			printf("%llu\n", t.tv_sec * 1000000ull + t.tv_nsec / 1000);
			return 0;
		}
	}
	fprintf(stderr, "httpbench: no answer %s within 20 s\n", status);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc == 7 && !strcmp(argv[1], "ask"))
		return ask(argv[2], atoi(argv[3]), argv[4], atoi(argv[5]), atof(argv[6]));
	if (argc == 6 && !strcmp(argv[1], "until"))
		return until(argv[2], atoi(argv[3]), argv[4], argv[5]);
	fprintf(stderr, "usage: httpbench serve PORT | until ADDRESS PORT PATH STATUS | ask ADDRESS PORT PATH CONNECTIONS SECONDS\n");
	return 2;
}
