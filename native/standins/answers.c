/* SPDX-License-Identifier: Apache-2.0 */
/* What each stand-in says. */
#include "answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char json[] = "application/json";
static const char text[] = "text/plain; charset=utf-8";

static bool is(const struct request *r, const char *method, const char *path)
{
	return (!method || !strcmp(r->method, method)) && !strcmp(r->path, path);
}

static const char *host_name(void)
{
	static __thread char name[256];

	gethostname(name, sizeof(name));
	return name;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

void answer_deathstar(const struct request *r, struct answer *a)
{
	static const char trace[] = "Panic: deathstar exploded\n\n"
				    "goroutine 1 [running]:\n"
				    "main.(*Reactor).Vent(0x2080c3f50, 0x2, 0x425c71, 0x5)\n"
				    "\t/station/reactor/vent.go:9 +0x64\n"
				    "main.(*ExhaustPort).Accept(0x2080c3f50, 0x2, 0x2)\n"
				    "\t/station/shaft/port.go:66 +0x85\n"
				    "main.main()\n"
				    "\t/station/main.go:1138 +0x1b\n";
	static const char index[] = "{\n  \"name\": \"Death Star\",\n  \"hostname\": \"%s\",\n"
				    "  \"model\": \"DS-1 Orbital Battle Station\",\n"
				    "  \"length\": \"120000\",\n  \"crew\": \"342953\",\n  \"passengers\": \"843342\",\n"
				    "  \"hyperdrive_rating\": \"4.0\",\n  \"starship_class\": \"Deep Space Mobile Battlestation\",\n"
				    "  \"api\": [\n    \"GET   /v1\",\n    \"GET   /v1/healthz\",\n    \"POST  /v1/request-landing\",\n"
				    "    \"PUT   /v1/cargobay\",\n    \"GET   /v1/hyper-matter-reactor/status\",\n"
				    "    \"PUT   /v1/exhaust-port\"\n  ]\n}\n";

	if (is(r, "POST", "/v1/request-landing"))
		answer_text(a, 200, text, "Ship landed\n");
	else if (is(r, "PUT", "/v1/exhaust-port"))
		answer_text(a, 503, text, "%s", trace);
	else if (is(r, "GET", "/") || is(r, "GET", "/v1") || is(r, "GET", "/v1/"))
		answer_text(a, 200, json, index, host_name());
	else if (is(r, "GET", "/v1/healthz") || is(r, "GET", "/healthz"))
		answer_text(a, 200, text, "ok\n");
	else if (is(r, "PUT", "/v1/cargobay"))
		answer_text(a, 200, text, "Cargo stowed\n");
	else if (is(r, "GET", "/v1/hyper-matter-reactor/status"))
		answer_text(a, 200, json, "{\"status\": \"stable\"}\n");
	else
		answer_text(a, 404, text, "404 not found\n");
}

void answer_json(const struct request *r, struct answer *a)
{
	char token[64];

	header_of(r, "X-Very-Secret-Token", token, sizeof(token));
	if (is(r, NULL, "/"))
		answer_text(a, 200, "text/html; charset=utf-8", "<html><body>Resources: /posts /comments /profile</body></html>\n");
	else if (is(r, "POST", "/posts"))
		answer_text(a, 201, json, "{\n  \"id\": 2\n}");
	else if (is(r, "GET", "/posts"))
		answer_text(a, 200, json, "[\n  {\n    \"id\": 1,\n    \"title\": \"a title\",\n    \"author\": \"an author\"\n  }\n]");
	else if (is(r, "GET", "/posts/1"))
		answer_text(a, 200, json, "{\n  \"id\": 1,\n  \"title\": \"a title\",\n  \"author\": \"an author\"\n}");
	else if (is(r, "GET", "/comments"))
		answer_text(a, 200, json, "[\n  {\n    \"id\": 1,\n    \"body\": \"a comment\",\n    \"postId\": 1\n  }\n]");
	else if (is(r, "GET", "/profile"))
		answer_text(a, 200, json, "{\n  \"name\": \"a name\"\n}");
	else if (is(r, NULL, "/public") || is(r, NULL, "/private"))
		answer_text(a, 200, json, "[\n  {\n    \"id\": 1,\n    \"body\": \"%s information\"\n  }\n]", r->path + 1);
	else if (is(r, NULL, "/auth-header-required") && strcmp(token, "42"))
		answer_text(a, 403, json, "{\n  \"message\": \"a secret header is missing\"\n}");
	else if (is(r, NULL, "/auth-header-required"))
		answer_text(a, 200, json, "{\n  \"id\": 1\n}");
	else if (is(r, NULL, "/client-ip"))
		answer_text(a, 200, json, "{\n  \"client-ip\": \"%.*s\"\n}", (int)(strrchr(r->client, ':') - r->client), r->client);
	else
		answer_text(a, 404, json, "{}");
}

/* A text as the inside of a JSON string. */
static void quote(const char *from, size_t length, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < length && n + 7 < size; i++) {
		unsigned char c = from[i];
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = c;
		} else if (c < 32) {
			n += snprintf(out + n, 7, "\\u%04x", c);
		} else {
			out[n++] = c;
		}
	}
	out[n] = 0;
}

void answer_echo(const struct request *r, struct answer *a)
{
	char headers[HEAD_MAX * 2] = "", host[512], target[8192], name[256], value[4096];
	size_t n = 0;

	header_of(r, "Host", value, sizeof(value));
	quote(value, strlen(value), host, sizeof(host));
	quote(r->target, strlen(r->target), target, sizeof(target));
	for (const char *line = r->head; *line && n + 4600 < sizeof(headers);) {
		size_t end = strcspn(line, "\r\n"), colon = strcspn(line, ":\r\n");
		const char *from = line + colon + (line[colon] == ':');
		while (from < line + end && *from == ' ')
			from++;
		quote(line, colon, name, sizeof(name));
		quote(from, line + end - from, value, sizeof(value));
		n += snprintf(headers + n, sizeof(headers) - n, "%s\n  \"%s\": [\n   \"%s\"\n  ]", n ? "," : "", name, value);
		line += end;
		line += strspn(line, "\r\n");
	}
	answer_text(a, 200, json,
		    "{\n \"path\": \"%s\",\n \"host\": \"%s\",\n \"method\": \"%s\",\n \"proto\": \"HTTP/1.1\",\n \"headers\": {%s\n },\n"
		    " \"namespace\": \"%s\",\n \"ingress\": \"%s\",\n \"service\": \"%s\",\n \"pod\": \"%s\"\n}\n",
		    target, host, r->method, headers, environment("NAMESPACE"), environment("INGRESS_NAME"), environment("SERVICE_NAME"),
		    *environment("POD_NAME") ? environment("POD_NAME") : host_name());
}

void answer_page(const struct request *r, struct answer *a)
{
	static const char html[] = "text/html";

	if (is(r, NULL, "/") || is(r, NULL, "/index.html"))
		answer_text(a, 200, html, "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Welcome from %s</h1></body></html>\n",
			    host_name());
	else
		answer_text(a, 404, html, "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>\n");
}

void answer_netexec(const struct request *r, struct answer *a)
{
	char value[4096], code[16];

	if (is(r, NULL, "/hostname") || is(r, NULL, "/hostName")) {
		answer_text(a, 200, text, "%s", host_name());
	} else if (is(r, NULL, "/clientip")) {
		answer_text(a, 200, text, "%s", r->client);
	} else if (is(r, NULL, "/echo")) {
		parameter_of(r, "msg", value, sizeof(value));
		parameter_of(r, "code", code, sizeof(code));
		answer_text(a, atoi(code) ? atoi(code) : 200, text, "%s", value);
	} else if (is(r, NULL, "/header")) {
		char name[256];
		parameter_of(r, "key", name, sizeof(name));
		header_of(r, name, value, sizeof(value));
		answer_text(a, 200, text, "%s", value);
	} else if (is(r, NULL, "/healthz")) {
		answer_text(a, 200, text, "%s", "");
	} else if (is(r, NULL, "/exit")) {
		parameter_of(r, "code", code, sizeof(code));
		_exit(atoi(code));
	} else if (is(r, NULL, "/")) {
		time_t now = time(NULL);
		char stamp[64];
		struct tm tm;
		strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &tm));
		answer_text(a, 200, text, "NOW: %s +0000 UTC", stamp);
	} else {
		answer_text(a, 404, text, "404 page not found\n");
	}
}

void answer_hostname(const struct request *r, struct answer *a)
{
	(void)r;
	answer_text(a, 200, text, "%s", host_name());
}

size_t answer_datagram(const char *said, size_t length, const char *client, char *out, size_t size)
{
	(void)length;
	if (!strncasecmp(said, "echo ", 5))
		return snprintf(out, size, "%s", said + 5);
	if (!strncasecmp(said, "clientip", 8))
		return snprintf(out, size, "%s", client);
	return snprintf(out, size, "%s", host_name());
}

size_t answer_hostname_datagram(const char *said, size_t length, const char *client, char *out, size_t size)
{
	(void)said, (void)length, (void)client;
	return snprintf(out, size, "%s", host_name());
}
