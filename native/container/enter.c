/* SPDX-License-Identifier: Apache-2.0 */
#include "enter.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "program.h"

int enter(int argc, char **argv)
{
	struct list cgroups = { .count = 0 };
	char path[1024];
	int at = 2;

	while (at + 1 < argc && !strcmp(argv[at], "--cgroup") && cgroups.count < LIST_MAX) {
		cgroups.items[cgroups.count++] = argv[at + 1];
		at += 2;
	}
	if (at + 1 >= argc || strcmp(argv[at], "--"))
		return dprintf(2, "usage: lab-node enter PID NETNS [--cgroup DIR]... -- PROGRAM ARG...\n"), 2;
	if (!strcmp(argv[1], "-"))
		snprintf(path, sizeof(path), "/proc/%s/ns/net", argv[0]);
	else
		snprintf(path, sizeof(path), "/proc/%s/root%s", argv[0], argv[1]);
	step("enter %s", path);
	/* A sysfs of that network namespace: programs look for devices there. */
	if (join_cgroups(&cgroups) || join_namespace(path, CLONE_NEWNET) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		return dprintf(2, "lab-node: %s: %s\n", mount_step, strerror(errno)), 1;
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL); /* only a view; no program depends on it */
	char bpf[1024];
	snprintf(bpf, sizeof(bpf), "/proc/%s/root/sys/fs/bpf", argv[0]);
	mount(bpf, "/sys/fs/bpf", NULL, MS_BIND, NULL);
	execvp(argv[at + 1], argv + at + 1);
	return dprintf(2, "lab-node: %s: %s\n", argv[at + 1], strerror(errno)), 127;
}
