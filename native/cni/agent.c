/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_SECONDS = 90, RETRY_MS = 20, MAX_ANSWER = 4 << 20 };

static int dial(const char *path, int wait_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	for (int waited = 0;; waited += RETRY_MS) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) return -1;
		if (!connect(fd, (struct sockaddr *)&address, sizeof address)) return fd;
		int reason = errno;
		close(fd);
		errno = reason;
		if ((reason != ENOENT && reason != ECONNREFUSED) || waited >= wait_ms) return -1;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
	}
}

static bool send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) continue;
		if (sent <= 0) return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

enum ask ask_agent(const char *socket_path, const struct text *body, int wait_ms, int *status, struct text *answer)
{
	int fd = dial(socket_path, wait_ms);
	if (fd < 0) return errno == ENOENT || errno == ECONNREFUSED ? ASK_AWAY : ASK_FAILED;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = ANSWER_SECONDS }, sizeof(struct timeval));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = ANSWER_SECONDS }, sizeof(struct timeval));

	/* HTTP/1.0: the answer is not chunked and ends with the connection. */
	char head[160];
	snprintf(head, sizeof head,
		 "POST /v1/cni HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 body->length);
	struct text all = { 0 };
	enum ask result = ASK_AWAY;
	int reason = 0;
	/* A peer that refuses a large body answers before it has read all of it: read even if sending failed. */
	if (send_all(fd, head, strlen(head))) send_all(fd, body->bytes, body->length);
	for (;;) {
		char part[65536];
		ssize_t got = recv(fd, part, sizeof part, 0);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0 && errno != ECONNRESET) {
			reason = errno == EAGAIN ? ETIMEDOUT : errno;
			result = ASK_FAILED;
		}
		if (got <= 0) break;
		text_add(&all, part, (size_t)got);
		if (all.length > MAX_ANSWER) {
			reason = EMSGSIZE;
			result = ASK_FAILED;
			break;
		}
	}
	close(fd);
	char *split = all.bytes ? strstr(all.bytes, "\r\n\r\n") : NULL;
	if (result == ASK_AWAY && split && sscanf(all.bytes, "HTTP/1.%*d %d", status) == 1) {
		text_add(answer, split + 4, all.length - (size_t)(split + 4 - all.bytes));
		result = ASK_ANSWERED;
	}
	text_free(&all);
	errno = reason;
	return result;
}
