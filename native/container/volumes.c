/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: cloned from the node's mounts while still among them, attached once the container's root stands. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mounts.h"
#include "paths.h"

static bool has(const char *options, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = options; (at = strstr(at, word)); at += length)
		if ((at == options || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

static int here(void)
{
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int make_source(const char *source, const char *options)
{
	struct stat st;
	int root, done = 0;

	if (!stat(source, &st))
		return 0;
	if (!has(options, "create") && !has(options, "Directory-or-create") && !has(options, "File-or-create"))
		return 0; /* the clone says what is missing */
	root = here();
	if (!has(options, "File-or-create")) {
		done = make_directory(root, source, 0755);
	} else {
		int fd = file_in(root, source, 0644);
		done = fd < 0 ? -1 : close(fd);
	}
	close(root);
	return done;
}

static const char *wrong_type(const char *options, mode_t mode)
{
	if ((has(options, "Directory") || has(options, "Directory-or-create")) && !S_ISDIR(mode))
		return "is not a directory";
	if ((has(options, "File") || has(options, "File-or-create")) && !S_ISREG(mode))
		return "is not a file";
	if (has(options, "Socket") && !S_ISSOCK(mode))
		return "is not a socket";
	if (has(options, "CharDevice") && !S_ISCHR(mode))
		return "is not a character device";
	if (has(options, "BlockDevice") && !S_ISBLK(mode))
		return "is not a block device";
	return NULL;
}

int clone_volume(char *bind, struct clone *clone)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	struct stat st;
	char *part[3];

	spec_parts(bind, part, 3);
	clone->target = part[1];
	clone->fd = -1;
	step("mount %s on %s", part[0], part[1]);
	if (make_source(part[0], part[2]) || stat(part[0], &st)) {
		if (errno == ENOENT && has(part[2], "optional"))
			return 0;
		return -1;
	}
	const char *wrong = wrong_type(part[2], st.st_mode);
	if (wrong) {
		step("hostPath type check failed: %s %s", part[0], wrong);
		return errno = EINVAL, -1;
	}
	clone->directory = S_ISDIR(st.st_mode);
	clone->fd = syscall(SYS_open_tree, AT_FDCWD, part[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (clone->fd < 0)
		return -1;
	if (has(part[2], "ro"))
		attr.attr_set = MOUNT_ATTR_RDONLY;
	if (has(part[2], "slave"))
		attr.propagation = MS_SLAVE;
	if (has(part[2], "shared"))
		attr.propagation = MS_SHARED;
	return syscall(SYS_mount_setattr, clone->fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

int attach_clone(int root, const struct clone *clone)
{
	int at;

	if (clone->fd < 0)
		return 0;
	step("mount a volume on %s", clone->target);
	if (clone->directory) {
		if (make_directory(root, clone->target, 0755))
			return -1;
		at = open_in(root, clone->target, O_PATH | O_DIRECTORY);
	} else {
		int file = file_in(root, clone->target, 0644);
		if (file >= 0)
			close(file);
		at = open_in(root, clone->target, O_PATH);
	}
	if (at < 0)
		return -1;
	int done = syscall(SYS_move_mount, clone->fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	close(at);
	close(clone->fd);
	return done;
}
