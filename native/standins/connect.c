/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "1s", "500ms", "2m" in milliseconds. */
static int duration(const char *text)
{
	char *unit;
	double n = strtod(text, &unit);

	return n * (!strcmp(unit, "ms") ? 1 : !strcmp(unit, "m") ? 60000 : 1000);
}

static int refuse(int error)
{
	fprintf(stderr, "%s\n", error == ETIMEDOUT || error == EAGAIN ? "TIMEOUT" : error == ECONNREFUSED ? "REFUSED" : "OTHER");
	if (error != ETIMEDOUT && error != ECONNREFUSED && error != EAGAIN)
		fprintf(stderr, "%s\n", strerror(error));
	return 1;
}

static int ask_udp(int fd, int timeout)
{
	char answer[2048];
	struct pollfd wait = { fd, POLLIN, 0 };

	if (send(fd, "hostname\n", 9, 0) < 0)
		return refuse(errno);
	if (poll(&wait, 1, timeout) != 1)
		return refuse(ETIMEDOUT);
	return recv(fd, answer, sizeof(answer), 0) < 0 ? refuse(errno) : 0;
}

int connect_once(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	char host[512] = "", *port;
	int timeout = 10000, error = 0;

	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		char *next = value ? value + 1 : i + 1 < argc ? argv[i + 1] : "";
		if (argv[i][0] != '-') {
			snprintf(host, sizeof(host), "%s", argv[i]);
			continue;
		}
		if (!strncmp(argv[i], "--timeout", 9))
			timeout = duration(next);
		else if (!strncmp(argv[i], "--protocol", 10))
			hints.ai_socktype = !strcasecmp(next, "udp") ? SOCK_DGRAM : SOCK_STREAM;
		i += !value;
	}
	if (!(port = strrchr(host, ':')))
		return fprintf(stderr, "connect: HOST:PORT is missing\n"), 2;
	*port++ = 0;
	char *name = host[0] == '[' ? host + 1 : host;
	name[strcspn(name, "]")] = 0;
	if ((error = getaddrinfo(name, port, &hints, &found)))
		return fprintf(stderr, "DNS: %s\n", gai_strerror(error)), 1;
	int fd = socket(found->ai_family, found->ai_socktype | SOCK_NONBLOCK, 0);
	if (connect(fd, found->ai_addr, found->ai_addrlen) && errno != EINPROGRESS)
		return refuse(errno);
	if (hints.ai_socktype == SOCK_DGRAM)
		return ask_udp(fd, timeout);
	struct pollfd wait = { fd, POLLOUT, 0 };
	if (poll(&wait, 1, timeout) != 1)
		return refuse(ETIMEDOUT);
	socklen_t size = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error ? refuse(error) : 0;
}
