/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define HEAD_MAX 16384
#define BODY_MAX 65536

struct request {
	char method[16], target[4096]; /* target: path and query as sent */
	char path[4096], query[4096];
	char head[HEAD_MAX];   /* header lines, as sent */
	char body[BODY_MAX + 1]; /* the first 64 KiB */
	size_t body_length;
	char client[64]; /* address:port */
	int port;
};

struct answer {
	int status;
	const char *type;
	char body[BODY_MAX];
	int length;
};

typedef void handler(const struct request *request, struct answer *answer);

/* Copies the value of a header, case-insensitively named, or "". */
void header_of(const struct request *request, const char *name, char *value, size_t size);
/* Copies a decoded parameter of the query, or "". */
void parameter_of(const struct request *request, const char *name, char *value, size_t size);
void answer_text(struct answer *answer, int status, const char *type, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Sockets of both families on `port`. Ends the program with a message when that is not possible. */
int listen_on(int port, int type);
/* Serves forever in threads of its own. */
void serve_http(int port, handler *handle);
/* Every connection gets `text` and is closed. */
void serve_greeting(int port, const char *text);
/* Every datagram gets what `answer` makes of it. */
void serve_udp(int port, size_t (*answer)(const char *said, size_t length, const char *client, char *out, size_t size));
