/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

static void print_client(const struct sockaddr_storage *from, char *text, size_t size)
{
	const struct sockaddr_in6 *v6 = (const void *)from;
	const struct sockaddr_in *v4 = (const void *)from;
	char address[INET6_ADDRSTRLEN];

	if (from->ss_family == AF_INET)
		snprintf(text, size, "%s:%d", inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address)), ntohs(v4->sin_port));
	else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		snprintf(text, size, "%s:%d", inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], address, sizeof(address)),
			 ntohs(v6->sin6_port));
	else
		snprintf(text, size, "[%s]:%d", inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof(address)), ntohs(v6->sin6_port));
}

int listen_on(int port, int type)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int zero = 0, one = 1;
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	int done = -1;

	if (fd >= 0) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		done = bind(fd, (void *)&any6, sizeof(any6));
	} else { /* a host without IPv6 */
		fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		done = bind(fd, (void *)&any4, sizeof(any4));
	}
	if (done || (type == SOCK_STREAM && listen(fd, 1024))) {
		fprintf(stderr, "listen on port %d: %s\n", port, strerror(errno));
		exit(1);
	}
	return fd;
}

struct work {
	int fd;
	void (*serve)(int, const char *, void *);
	void *context;
	char client[64];
};

static void *serve_one(void *argument)
{
	struct work *work = argument;
	int one = 1;

	setsockopt(work->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	work->serve(work->fd, work->client, work->context);
	close(work->fd);
	free(work);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 << 10);
	if (pthread_create(&thread, &attr, run, argument))
		perror("start a thread");
	pthread_attr_destroy(&attr);
}

static void *accept_all(void *argument)
{
	struct work *listener = argument;

	for (;;) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		int fd = accept4(listener->fd, (void *)&from, &size, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				usleep(10000);
			continue;
		}
		struct work *work = malloc(sizeof(*work));
		*work = *listener;
		work->fd = fd;
		print_client(&from, work->client, sizeof(work->client));
		start_thread(serve_one, work);
	}
	return NULL;
}

void accept_forever(int listener, void (*serve)(int, const char *, void *), void *context)
{
	struct work *work = malloc(sizeof(*work));

	*work = (struct work){ .fd = listener, .serve = serve, .context = context };
	start_thread(accept_all, work);
}

struct datagrams {
	int fd;
	size_t (*answer)(const char *, size_t, const char *, char *, size_t);
};

static void *answer_all(void *argument)
{
	struct datagrams *d = argument;
	static __thread char in[65536], out[65536];
	char client[64];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(d->fd, in, sizeof(in) - 1, 0, (void *)&from, &size);
		if (n < 0)
			continue;
		in[n] = 0;
		print_client(&from, client, sizeof(client));
		sendto(d->fd, out, d->answer(in, n, client, out, sizeof(out)), 0, (void *)&from, size);
	}
	return NULL;
}

void serve_udp(int port, size_t (*answer)(const char *, size_t, const char *, char *, size_t))
{
	struct datagrams *d = malloc(sizeof(*d));

	*d = (struct datagrams){ listen_on(port, SOCK_DGRAM), answer };
	start_thread(answer_all, d);
}
