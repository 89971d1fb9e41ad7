/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 as far as curl, browsers and probes ask for it: keep-alive, bodies with a length or chunked, one thread a connection. */
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

struct connection {
	int fd, port;
	handler *handle;
	char client[64];
	char data[HEAD_MAX];
	size_t used;
	struct request request;
	struct answer answer;
};

void header_of(const struct request *request, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);

	*value = 0;
	for (const char *line = request->head; *line;) {
		size_t end = strcspn(line, "\r\n");
		if (!strncasecmp(line, name, length) && line[length] == ':') {
			line += length + 1;
			line += strspn(line, " \t");
			snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
			return;
		}
		line += end;
		line += strspn(line, "\r\n");
	}
}

void parameter_of(const struct request *request, const char *name, char *value, size_t size)
{
	size_t length = strlen(name), n = 0;
	const char *at = request->query;

	*value = 0;
	while (*at && (strncmp(at, name, length) || at[length] != '=')) {
		at += strcspn(at, "&");
		at += *at == '&';
	}
	if (!*at)
		return;
	for (at += length + 1; *at && *at != '&' && n + 1 < size; at++) {
		unsigned int byte;
		if (*at == '%' && sscanf(at + 1, "%2x", &byte) == 1) {
			value[n++] = byte;
			at += 2;
		} else {
			value[n++] = *at == '+' ? ' ' : *at;
		}
	}
	value[n] = 0;
}

void answer_text(struct answer *answer, int status, const char *type, const char *format, ...)
{
	va_list list;

	answer->status = status;
	answer->type = type;
	va_start(list, format);
	int n = vsnprintf(answer->body, sizeof(answer->body), format, list);
	va_end(list);
	answer->length = n < (int)sizeof(answer->body) ? n : (int)sizeof(answer->body) - 1;
}

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Payload Too Large";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static bool fill(struct connection *c)
{
	ssize_t n;

	do
		n = recv(c->fd, c->data + c->used, sizeof(c->data) - 1 - c->used, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	c->used += n;
	c->data[c->used] = 0;
	return true;
}

static void consume(struct connection *c, size_t length)
{
	memmove(c->data, c->data + length, c->used - length + 1);
	c->used -= length;
}

/* Takes `length` bytes of body, keeping what has room. */
static bool take_body(struct connection *c, unsigned long length)
{
	struct request *r = &c->request;

	while (length) {
		if (!c->used && !fill(c))
			return false;
		size_t n = c->used < length ? c->used : length;
		size_t room = BODY_MAX - r->body_length;
		memcpy(r->body + r->body_length, c->data, n < room ? n : room);
		r->body_length += n < room ? n : room;
		consume(c, n);
		length -= n;
	}
	r->body[r->body_length] = 0;
	return true;
}

static bool take_chunks(struct connection *c)
{
	for (;;) {
		char *end;
		while (!(end = strstr(c->data, "\r\n")))
			if (c->used >= 4096 || !fill(c))
				return false;
		unsigned long length = strtoul(c->data, NULL, 16);
		if (!isxdigit((unsigned char)c->data[0]))
			return false;
		consume(c, end + 2 - c->data);
		if (length && !take_body(c, length))
			return false;
		while (c->used < 2)
			if (!fill(c))
				return false;
		consume(c, 2);
		if (!length)
			return true;
	}
}

/* Status of a refusal, 0 when the request is whole, -1 when the connection is over. */
static int take_request(struct connection *c)
{
	struct request *r = &c->request;
	char value[256], *end;

	while (!(end = strstr(c->data, "\r\n\r\n"))) {
		if (c->used >= sizeof(c->data) - 1)
			return 431;
		if (!fill(c))
			return -1;
	}
	size_t head = end + 4 - c->data;
	r->body_length = 0;
	r->body[0] = 0;
	if (sscanf(c->data, "%15[A-Z] %4095s HTTP/1.", r->method, r->target) != 2 || r->target[0] != '/')
		return 400;
	char *line = strstr(c->data, "\r\n") + 2;
	snprintf(r->head, sizeof(r->head), "%.*s", (int)(end + 2 - line > 0 ? end + 2 - line : 0), line);
	snprintf(r->path, sizeof(r->path), "%.*s", (int)strcspn(r->target, "?"), r->target);
	const char *query = strchr(r->target, '?');
	snprintf(r->query, sizeof(r->query), "%s", query ? query + 1 : "");
	consume(c, head);
	header_of(r, "Expect", value, sizeof(value));
	if (!strcasecmp(value, "100-continue"))
		send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
	header_of(r, "Transfer-Encoding", value, sizeof(value));
	if (*value)
		return take_chunks(c) ? 0 : 400;
	header_of(r, "Content-Length", value, sizeof(value));
	if (*value && !isdigit((unsigned char)*value))
		return 400;
	return take_body(c, strtoul(value, NULL, 10)) ? 0 : -1;
}

static bool send_answer(struct connection *c, bool close)
{
	struct answer *a = &c->answer;
	static __thread char out[BODY_MAX + 512];

	int n = snprintf(out, 512, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", a->status, reason(a->status),
			 a->type, a->length, close ? "Connection: close\r\n" : "");
	if (strcmp(c->request.method, "HEAD")) {
		memcpy(out + n, a->body, a->length);
		n += a->length;
	}
	return send(c->fd, out, n, MSG_NOSIGNAL) == n;
}

static void serve(int fd, const char *client, void *context)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct http_server *server = context;
	char value[64];

	if (!c)
		return;
	c->fd = fd;
	snprintf(c->request.client, sizeof(c->request.client), "%s", client);
	c->request.port = server->port;
	for (bool close = false; !close;) {
		int refused = take_request(c);
		if (refused < 0)
			break;
		header_of(&c->request, "Connection", value, sizeof(value));
		close = refused || !strcasecmp(value, "close");
		if (refused)
			answer_text(&c->answer, refused, "text/plain", "%s\n", reason(refused));
		else
			((handler *)server->handle)(&c->request, &c->answer);
		if (!send_answer(c, close))
			break;
	}
	free(c);
}

void serve_http(int port, handler *handle)
{
	struct http_server *server = malloc(sizeof(*server));

	*server = (struct http_server){ port, (void *)handle };
	accept_forever(listen_on(port, SOCK_STREAM), serve, server);
}

static void greet(int fd, const char *client, void *context)
{
	(void)client;
	if (send(fd, context, strlen(context), MSG_NOSIGNAL) < 0)
		return;
	shutdown(fd, SHUT_WR);
}

void serve_greeting(int port, const char *text)
{
	accept_forever(listen_on(port, SOCK_STREAM), greet, strdup(text));
}
