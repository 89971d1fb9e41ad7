/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "spec.h"
#include "step.h"

#define IMAGE "/run/lab/image" /* in a node: the host's files, without mounts below */
#define STAGE "/run/lab/stage" /* in a node: an empty directory, where a container's root is put together */

struct clone { /* a volume, taken from the node's mounts before the container leaves them */
	int fd;
	bool directory;
	const char *target;
};

/* All answer 0 or -1 with errno, and say by `step` what they tried. */

/* Overlay of `lower` and a fresh tmpfs, mounted at `place`/root. */
int overlay_root(const char *place, const char *lower);
int proc_mount(int root, bool privileged);
int sys_mount(int root, int cgroups, bool privileged);
int dev_mount(int root, bool privileged);
int tmpfs_mount(int root, const char *target, const char *options);
/* "source\x1ftarget\x1foptions": ro, slave, shared, create (a directory, if nothing is there), and the
 * types of a hostPath with "-or-create" for OrCreate. */
int clone_volume(char *bind, struct clone *clone);
int attach_clone(int root, const struct clone *clone);
int enter_root(int root);
