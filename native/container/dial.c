/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection made from inside a network namespace, its bytes carried over the node's socket: probes and port-forward. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "mounts.h"
#include "program.h"
#include "session.h"

static int open_connection(const struct spec *spec)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(spec->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(spec->port) };
	bool is_v6 = spec->address && inet_pton(AF_INET6, spec->address, &v6.sin6_addr) == 1;
	int error = 0;

	if (!is_v6 && (!spec->address || inet_pton(AF_INET, spec->address, &v4.sin_addr) != 1))
		return errno = EINVAL, -1;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	const void *to = is_v6 ? (const void *)&v6 : (const void *)&v4;
	if (connect(fd, to, is_v6 ? sizeof(v6) : sizeof(v4)) && errno != EINPROGRESS)
		return -1;
	struct pollfd wait = { fd, POLLOUT, 0 };
	if (poll(&wait, 1, spec->timeout ? spec->timeout : 10000) != 1)
		return errno = ETIMEDOUT, -1;
	socklen_t size = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return errno = error, -1;
	fcntl(fd, F_SETFL, 0);
	return fd;
}

static int send_fully(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
		data += n;
		length -= n;
	}
	return 0;
}

void dial(int conn, const struct spec *spec)
{
	static char data[FRAME_MAX];
	bool in = true, out = true;

	if (spec->net && join_namespace(spec->net, CLONE_NEWNET)) {
		frame_text(conn, FRAME_FAILED, "%s: %s", mount_step, strerror(errno));
		return;
	}
	int fd = open_connection(spec);
	if (fd < 0) {
		frame_text(conn, FRAME_FAILED, "dial tcp %s:%ld: %s", spec->address ? spec->address : "", spec->port, strerror(errno));
		return;
	}
	frame_send(conn, FRAME_STARTED, "", 0);
	/* Blocking writes both ways: two sides that both only write and never read would stand still, as over any small pipe. */
	while (in || out) {
		struct pollfd polls[] = { { conn, POLLIN, 0 }, { out ? fd : -1, POLLIN, 0 } };
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return;
		if (polls[0].revents) {
			uint8_t type;
			int n = frame_receive(conn, &type, data);
			if (n < 0)
				return;
			if (type == FRAME_STDIN && !n && in) {
				shutdown(fd, SHUT_WR);
				in = false;
			} else if (type == FRAME_STDIN && n && send_fully(fd, data, n)) {
				return;
			}
		}
		if (polls[1].revents) {
			ssize_t n = recv(fd, data, sizeof(data), 0);
			if (n < 0)
				return;
			out = n > 0;
			if (frame_send(conn, FRAME_STDOUT, data, n))
				return;
		}
	}
}
