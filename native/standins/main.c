/* SPDX-License-Identifier: Apache-2.0 */
/* lab-http: small programs that stand in for well-known images of walk-throughs. The role is the name it is called by, or the
 * first argument. */
#include <libgen.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "connect.h"

/* The value of "--name=value" or "--name value", else `absent`. */
static const char *option(int argc, char **argv, const char *name, const char *absent)
{
	size_t length = strlen(name);

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], name, length))
			continue;
		if (argv[i][length] == '=')
			return argv[i] + length + 1;
		if (!argv[i][length] && i + 1 < argc && argv[i + 1][0] != '-')
			return argv[i + 1];
		if (!argv[i][length])
			return "true";
	}
	return absent;
}

static int port_of(int argc, char **argv, const char *name, const char *absent)
{
	return atoi(option(argc, argv, name, absent));
}

/* As a pod's first process it inherits orphans, and only signals with a handler reach it. */
static void stop(int signal)
{
	_exit(signal == SIGTERM || signal == SIGINT ? 0 : 128 + signal);
}

static void reap(int signal)
{
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void wait_forever(void)
{
	for (;;)
		pause();
}

/* Answers each SERVE_PORT_N=TEXT of the environment on port N. */
static void answer_variable(const struct request *request, struct answer *answer)
{
	char name[32];

	snprintf(name, sizeof(name), "SERVE_PORT_%d", request->port);
	answer_text(answer, 200, "text/plain; charset=utf-8", "%s", getenv(name));
}

static int serve_environment(char **environ)
{
	int count = 0;

	for (; *environ; environ++) {
		int port;
		if (sscanf(*environ, "SERVE_PORT_%d=", &port) != 1)
			continue;
		serve_http(port, answer_variable);
		count++;
	}
	return count;
}

static void serve_hostname(int argc, char **argv)
{
	int port = port_of(argc, argv, "--port", "9376");
	char name[256];

	gethostname(name, sizeof(name));
	if (!strcmp(option(argc, argv, "--udp", "false"), "true"))
		serve_udp(port, answer_hostname_datagram);
	if (!strcmp(option(argc, argv, "--tcp", "false"), "true"))
		serve_greeting(port, name);
	else if (strcmp(option(argc, argv, "--http", "true"), "false"))
		serve_http(port, answer_hostname);
}

static const struct {
	const char *role;
	handler *handle;
	const char *port;
} servers[] = {
	{ "deathstar", answer_deathstar, "80" },
	{ "json-mock", answer_json, "8080" },
	{ "echo", answer_echo, "3000" },
	{ "page", answer_page, "80" },
};

static int start(const char *role, int argc, char **argv, char **environ)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++) {
		if (strcmp(role, servers[i].role))
			continue;
		int port = port_of(argc, argv, "--port", getenv("PORT") ? getenv("PORT") : servers[i].port);
		serve_http(port, servers[i].handle);
		printf("%s: serving on port %d\n", role, port);
		return 0;
	}
	if (!strcmp(role, "netexec")) {
		serve_http(port_of(argc, argv, "--http-port", "8080"), answer_netexec);
		if (port_of(argc, argv, "--udp-port", "8081") > 0)
			serve_udp(port_of(argc, argv, "--udp-port", "8081"), answer_datagram);
		printf("netexec: serving\n");
		return 0;
	}
	if (!strcmp(role, "serve-hostname"))
		return serve_hostname(argc, argv), 0;
	if (!strcmp(role, "porter"))
		return serve_environment(environ) ? 0 : 1;
	if (!strcmp(role, "pause"))
		return 0;
	fprintf(stderr, "lab-http: no role %s (deathstar, json-mock, echo, page, netexec, serve-hostname, porter, connect, pause)\n", role);
	return 2;
}

int main(int argc, char **argv, char **environ)
{
	const char *role = basename(argv[0]);

	argv++, argc--;
	if ((!strcmp(role, "lab-http") || !strcmp(role, "agnhost")) && argc) {
		role = *argv++;
		argc--;
	}
	if (!strcmp(role, "connect"))
		return connect_once(argc, argv);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	signal(SIGCHLD, reap);
	signal(SIGPIPE, SIG_IGN);
	int wrong = start(role, argc, argv, environ);
	if (wrong)
		return wrong;
	fflush(stdout);
	wait_forever();
}
