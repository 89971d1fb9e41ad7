/* SPDX-License-Identifier: Apache-2.0 */
/* A request: what to start, where, with which files. Fields are the records' keys; lists may repeat. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEC_MAX (1 << 20) /* bytes of a whole request */
#define LIST_MAX 512

struct list {
	char *items[LIST_MAX + 1]; /* closed by NULL */
	size_t count;
};

struct spec {
	char *op; /* run, exec, dial, sandbox, unsandbox; init reads the node's own spec */
	struct list args, env, groups, cgroups, binds, links, sysctls, files, shares;
	char *cwd, *log, *net, *ipc, *uts, *pidns, *hostname, *root, *name, *address, *socket;
	char *caps; /* hexadecimal set kept; absent: all */
	long uid, gid, pid, port, timeout, log_size, oom_score;
	bool tty, in, tee, privileged, readonly, no_new_privs;
	char *buffer;
};

/* Reads records from `fd` until the empty one. NULL or what is wrong. */
const char *spec_read(int fd, struct spec *spec);
/* Cuts "a\x1fb\x1fc" in place into up to `count` parts; missing ones are "". */
void spec_parts(char *text, char **parts, size_t count);
