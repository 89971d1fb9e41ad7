/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI plugin (specification 1.1.0). It decides nothing: environment and configuration go to the agent in one
 * request, the agent's answer goes to standard output. Only what must work without an agent is here: VERSION, bad
 * input, and a DEL that is kept for later. */
#include "agent.h"
#include "text.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SOCKET "/var/run/cilium/cilium.sock"
#define QUEUE "/var/run/cilium/deleteQueue"
#define LOG "/var/run/cilium/cilium-cni.log"
enum { MAX_CONFIG = 4 << 20, MAX_LOG = 8 << 20, WAIT_MS = 2000 };

/* Error codes of the specification. */
enum code {
	BAD_VERSION = 1,
	BAD_ENVIRONMENT = 4,
	IO_FAILURE = 5,
	BAD_JSON = 6,
	BAD_CONFIG = 7,
	TRY_AGAIN = 11,
	NOT_AVAILABLE = 50
};

static const char *const versions[] = { "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
enum { VERSIONS = sizeof versions / sizeof *versions };

static const char *command = "", *container = "", *interface = "", *netns = "", *version = versions[VERSIONS - 1];
static const char *log_path = LOG;
static struct text config;

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

static void note(const char *outcome)
{
	struct stat size;
	if (!stat(log_path, &size) && size.st_size > MAX_LOG) {
		struct text old = { 0 };
		text_put(&old, log_path);
		text_put(&old, ".1");
		rename(log_path, old.bytes);
		text_free(&old);
	}
	int fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) return;
	char when[32];
	time_t now = time(NULL);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	dprintf(fd, "time=%s command=%s container=%s interface=%s netns=%s outcome=%s\n", when, command, container, interface,
		netns, outcome);
	close(fd);
}

static int refuse(enum code code, const char *message, const char *details)
{
	struct text out = { 0 };
	char number[16];
	snprintf(number, sizeof number, "%d", code);
	text_put(&out, "{\"cniVersion\":");
	text_quote(&out, version);
	text_put(&out, ",\"code\":");
	text_put(&out, number);
	text_put(&out, ",\"msg\":");
	text_quote(&out, message);
	if (details && *details) {
		text_put(&out, ",\"details\":");
		text_quote(&out, details);
	}
	text_put(&out, "}");
	puts(out.bytes);
	note(out.bytes);
	text_free(&out);
	return 1;
}

static bool read_config(void)
{
	char part[65536];
	for (;;) {
		ssize_t got = read(0, part, sizeof part);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return false;
		if (got == 0) break;
		text_add(&config, part, (size_t)got);
		if (config.length > MAX_CONFIG) return false;
	}
	if (!config.bytes) text_put(&config, "");
	return true;
}

static int print_versions(void)
{
	printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[", versions[VERSIONS - 1]);
	for (int i = 0; i < VERSIONS; i++) printf("%s\"%s\"", i ? "," : "", versions[i]);
	puts("]}");
	return 0;
}

static bool is_command(const char *wanted) { return !strcmp(command, wanted); }

/* Name of a variable that is missing or can not be; NULL if all is well. */
static const char *wrong_variable(void)
{
	bool of_container = is_command("ADD") || is_command("DEL") || is_command("CHECK");
	if (!of_container) return NULL;
	if (!isalnum((unsigned char)container[0])) return "CNI_CONTAINERID";
	for (const char *c = container; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c)) return "CNI_CONTAINERID";
	size_t length = strlen(interface);
	if (length == 0 || length > 15 || !strcmp(interface, ".") || !strcmp(interface, "..")) return "CNI_IFNAME";
	for (const char *c = interface; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c) || iscntrl((unsigned char)*c)) return "CNI_IFNAME";
	if (!is_command("DEL") && !*netns) return "CNI_NETNS";
	return NULL;
}

static void make_directories(const char *path)
{
	char part[4096];
	for (size_t i = 1; i < sizeof part && path[i - 1]; i++) {
		if (path[i] != '/' && path[i]) continue;
		memcpy(part, path, i);
		part[i] = 0;
		mkdir(part, 0700);
	}
}

/* Keeps the request for the agent's next start: written beside and renamed, so that it is whole or not there. */
static bool enqueue(const char *directory, const struct text *body, struct text *path)
{
	make_directories(directory);
	text_put(path, directory);
	text_put(path, "/");
	text_put(path, container);
	text_put(path, "-");
	text_put(path, interface);
	struct text beside = { 0 };
	text_put(&beside, path->bytes);
	text_put(&beside, ".new");
	text_put(path, ".delete");
	int fd = open(beside.bytes, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = fd >= 0 && write(fd, body->bytes, body->length) == (ssize_t)body->length && !fsync(fd);
	if (fd >= 0) close(fd);
	done = done && !rename(beside.bytes, path->bytes);
	text_free(&beside);
	return done;
}

static void build_request(struct text *body)
{
	const struct {
		const char *key, *value;
	} fields[] = { { "command", command }, { "containerID", container }, { "netns", netns }, { "ifname", interface },
		       { "args", environment("CNI_ARGS") }, { "path", environment("CNI_PATH") } };
	text_put(body, "{");
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		text_quote(body, fields[i].key);
		text_put(body, ":");
		text_quote(body, fields[i].value);
		text_put(body, ",");
	}
	text_put(body, "\"config\":");
	text_add(body, config.bytes, config.length);
	text_put(body, "}");
}

static int answer(int status, const struct text *text)
{
	struct span code;
	if (status != 200) {
		char message[64];
		snprintf(message, sizeof message, "the agent answered HTTP %d", status);
		return refuse(TRY_AGAIN, message, text->bytes ? text->bytes : "");
	}
	if (text->length == 0) {
		note("ok");
		return 0;
	}
	if (!json_is_object(text->bytes, text->length)) return refuse(TRY_AGAIN, "the agent's answer is no JSON object", text->bytes);
	fwrite(text->bytes, 1, text->length, stdout);
	putchar('\n');
	bool failed = json_find(text->bytes, text->length, "code", &code);
	note(failed ? text->bytes : "ok");
	return failed ? 1 : 0;
}

static int ask(void)
{
	char *socket_path = json_find_string(config.bytes, config.length, "socket-path");
	char *queue = json_find_string(config.bytes, config.length, "delete-queue");
	struct span wait_value;
	const char *path = socket_path ? socket_path : SOCKET;
	int wait_ms = json_find(config.bytes, config.length, "agent-wait-milliseconds", &wait_value) ? atoi(wait_value.at) : WAIT_MS;
	struct text body = { 0 }, reply = { 0 }, kept = { 0 };
	int status = 0, result;
	build_request(&body);
	enum ask outcome = ask_agent(path, &body, is_command("ADD") ? wait_ms : 0, &status, &reply);
	if (outcome == ASK_AWAY && is_command("DEL")) {
		if (!enqueue(queue ? queue : QUEUE, &body, &kept))
			return refuse(IO_FAILURE, "the agent is away and the deletion can not be kept for it", strerror(errno));
		/* An agent that began to listen in between may have read the queue already. */
		outcome = ask_agent(path, &body, 0, &status, &reply);
		if (outcome != ASK_ANSWERED) {
			note("queued");
			return 0;
		}
		unlink(kept.bytes);
	}
	if (outcome == ASK_ANSWERED)
		result = answer(status, &reply);
	else if (outcome == ASK_FAILED)
		result = refuse(TRY_AGAIN, "the agent did not answer", strerror(errno));
	else
		result = refuse(is_command("STATUS") ? NOT_AVAILABLE : TRY_AGAIN, "the cilium agent is not running on this node (yet)", path);
	return result;
}

int main(void)
{
	command = environment("CNI_COMMAND");
	container = environment("CNI_CONTAINERID");
	interface = environment("CNI_IFNAME");
	netns = environment("CNI_NETNS");
	if (is_command("VERSION")) return print_versions();
	static const char *const commands[] = { "ADD", "DEL", "CHECK", "STATUS", "GC" };
	bool known = false;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) known |= is_command(commands[i]);
	if (!known) {
		fprintf(stderr, "cilium-cni: a CNI plugin, run by container runtimes; see https://www.cni.dev\n");
		return refuse(BAD_ENVIRONMENT, *command ? "CNI_COMMAND is none of ADD DEL CHECK STATUS GC VERSION" : "CNI_COMMAND is not set", command);
	}
	if (!read_config()) return refuse(IO_FAILURE, "the configuration on standard input can not be read or is above 4 MiB", strerror(errno));
	if (!json_is_object(config.bytes, config.length))
		return refuse(BAD_JSON, "the configuration on standard input is no JSON object", "");
	char *log_file = json_find_string(config.bytes, config.length, "log-file");
	if (log_file) log_path = log_file;
	char *wanted = json_find_string(config.bytes, config.length, "cniVersion");
	const char *variable = wrong_variable();
	int index = VERSIONS - 1;
	while (index >= 0 && (!wanted || strcmp(wanted, versions[index]))) index--;
	if (index < 0) return refuse(BAD_VERSION, "cniVersion is none of 0.3.1 0.4.0 1.0.0 1.1.0", wanted ? wanted : "absent");
	version = versions[index];
	if (variable) {
		struct text message = { 0 };
		text_put(&message, variable);
		text_put(&message, " is missing or not valid");
		return refuse(BAD_ENVIRONMENT, message.bytes, environment(variable));
	}
	if ((is_command("STATUS") || is_command("GC")) && index != VERSIONS - 1)
		return refuse(BAD_VERSION, "STATUS and GC need cniVersion 1.1.0", version);
	if (!json_find_string(config.bytes, config.length, "name")) return refuse(BAD_CONFIG, "the configuration has no name", "");
	return ask();
}
