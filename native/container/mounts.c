/* SPDX-License-Identifier: Apache-2.0 */
/* What a root file system is put together from; nodes and containers share it. */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "paths.h"

/* mount(2) takes a path: one through the descriptor's magic link can not be led astray by links in the root. */
static int mount_in(int root, const char *target, const char *source, const char *type, unsigned long flags, const char *data)
{
	char path[64];

	step("mount %s on %s", source, target);
	if (make_directory(root, target, 0755))
		return -1;
	int fd = open_in(root, target, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int done = mount(source, path, type, flags, data);
	close(fd);
	return done;
}

int overlay_root(const char *place, const char *lower)
{
	char options[1024], path[256];

	step("mount tmpfs on %s", place);
	if (mount("lab", place, "tmpfs", 0, "mode=755"))
		return -1;
	const char *names[] = { "upper", "work", "root" };
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", place, names[i]);
		if (mkdir(path, 0755))
			return -1;
	}
	step("mount overlay over %s", lower);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, place, place);
	if (mount("lab", path, "overlay", 0, options))
		return -1;
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int bind_over(int root, const char *target, const char *source, bool readonly)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	step("mount %s over %s", source ? source : target, target);
	int at = open_in(root, target, O_PATH);
	if (at < 0)
		return errno == ENOENT ? 0 : -1;
	int tree = source ? (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
			  : (int)syscall(SYS_open_tree, at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int done = tree < 0 ? -1 : 0;
	if (!done && readonly)
		done = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	if (!done)
		done = syscall(SYS_move_mount, tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (tree >= 0)
		close(tree);
	close(at);
	return done;
}

int proc_mount(int root, bool privileged)
{
	static const char *const readonly[] = { "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs" };
	static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list" };

	if (mount_in(root, "/proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -1;
	for (size_t i = 0; !privileged && i < sizeof(readonly) / sizeof(*readonly); i++)
		if (bind_over(root, readonly[i], NULL, true))
			return -1;
	for (size_t i = 0; !privileged && i < sizeof(masked) / sizeof(*masked); i++)
		if (bind_over(root, masked[i], "/dev/null", false))
			return -1;
	return 0;
}

/* A sysfs shows the network namespace of who mounts it; the cgroup trees come from outside (`cgroups`: a detached clone). */
int sys_mount(int root, int cgroups, bool privileged)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (privileged ? 0 : MS_RDONLY);

	if (mount_in(root, "/sys", "sysfs", "sysfs", flags, NULL))
		return -1;
	if (cgroups < 0)
		return 0;
	step("mount cgroups on /sys/fs/cgroup");
	if (!privileged && syscall(SYS_mount_setattr, cgroups, "", AT_EMPTY_PATH | AT_RECURSIVE, &readonly, sizeof(readonly)))
		return -1;
	int at = open_in(root, "/sys/fs/cgroup", O_PATH | O_DIRECTORY);
	if (at < 0)
		return -1;
	int done = syscall(SYS_move_mount, cgroups, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	close(at);
	return done;
}

int dev_mount(int root, bool privileged)
{
	static const struct {
		const char *name;
		int major, minor;
	} nodes[] = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" } };

	if (mount_in(root, "/dev", "lab", "tmpfs", MS_NOSUID, "mode=755,size=64k"))
		return -1;
	if (mount_in(root, "/dev/pts", "devpts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5") ||
	    mount_in(root, "/dev/shm", "lab", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=65536k"))
		return -1;
	/* No mqueue where the kernel has none: nothing else in the container depends on it. */
	mount_in(root, "/dev/mqueue", "mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	int dev = open_in(root, "/dev", O_RDONLY | O_DIRECTORY);
	int done = dev < 0 ? -1 : 0;
	mode_t mask = umask(0);
	step("make device nodes");
	for (size_t i = 0; !done && i < sizeof(nodes) / sizeof(*nodes); i++)
		done = mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor));
	for (size_t i = 0; !done && i < sizeof(links) / sizeof(*links); i++)
		done = symlinkat(links[i][0], dev, links[i][1]);
	if (!done && privileged)
		done = mkdirat(dev, "net", 0755) || mknodat(dev, "net/tun", S_IFCHR | 0666, makedev(10, 200)) ? -1 : 0;
	umask(mask);
	close(dev);
	return done;
}

int tmpfs_mount(int root, const char *target, const char *options)
{
	return mount_in(root, target, "lab", "tmpfs", MS_NOSUID | MS_NODEV, options);
}

int enter_root(int root)
{
	step("make the new root the root");
	/* The old root is stacked on the new one, then taken away: no directory for it is needed. */
	if (fchdir(root) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH))
		return -1;
	return chdir("/");
}
