/* SPDX-License-Identifier: Apache-2.0 */
/* A container's first process: namespaces, root file system, volumes, then the program. Without `root` the program runs
 * among the node's own files (CNI plugins do). */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mounts.h"
#include "paths.h"
#include "program.h"

static struct clone volumes[LIST_MAX];

static int write_sysctl(char *setting)
{
	char path[512];
	char *value = strchr(setting, '=');

	if (!value)
		return errno = EINVAL, -1;
	*value++ = 0;
	for (char *c = setting; *c; c++)
		if (*c == '.')
			*c = '/';
	snprintf(path, sizeof(path), "/proc/sys/%s", setting);
	step("write %s", path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, value, strlen(value));
	close(fd);
	return n < 0 ? -1 : 0;
}

static int build_root(struct spec *spec)
{
	int cgroups = syscall(SYS_open_tree, AT_FDCWD, "/sys/fs/cgroup", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct mount_attr private = { .propagation = MS_PRIVATE };

	if (cgroups >= 0)
		syscall(SYS_mount_setattr, cgroups, "", AT_EMPTY_PATH | AT_RECURSIVE, &private, sizeof(private));
	for (size_t i = 0; i < spec->binds.count; i++)
		if (clone_volume(spec->binds.items[i], &volumes[i]))
			return -1;
	step("leave the node's mounts");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	int root = overlay_root(STAGE, spec->root);
	if (root < 0)
		return -1;
	if (proc_mount(root, spec->privileged) || dev_mount(root, spec->privileged) || sys_mount(root, cgroups, spec->privileged) ||
	    tmpfs_mount(root, "/run", "mode=755") || tmpfs_mount(root, "/tmp", "mode=1777"))
		return -1;
	for (size_t i = 0; i < spec->files.count; i++)
		if (write_file_in(root, spec->files.items[i]))
			return -1;
	for (size_t i = 0; i < spec->links.count; i++)
		if (link_file(root, spec->links.items[i]))
			return -1;
	for (size_t i = 0; i < spec->binds.count; i++)
		if (attach_clone(root, &volumes[i]))
			return -1;
	if (spec->cwd && make_directory(root, spec->cwd, 0755))
		return step("make the working directory %s", spec->cwd), -1;
	if (spec->readonly) {
		struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
		step("make the root read-only");
		if (syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)))
			return -1;
	}
	return enter_root(root);
}

static int set_up(struct spec *spec)
{
	if (join_cgroups(&spec->cgroups))
		return -1;
	if ((spec->net && join_namespace(spec->net, CLONE_NEWNET)) || (spec->ipc && join_namespace(spec->ipc, CLONE_NEWIPC)) ||
	    (spec->uts && join_namespace(spec->uts, CLONE_NEWUTS)))
		return -1;
	for (size_t i = 0; i < spec->sysctls.count; i++)
		if (write_sysctl(spec->sysctls.items[i]))
			return -1;
	return spec->root ? build_root(spec) : 0;
}

static void give_terminal(const struct spec *spec, int report)
{
	if (!spec->tty) {
		setsid();
		return;
	}
	int master = open_terminal();
	if (master < 0 || send_fd(report, master))
		fail_child(report, "%s: %s", mount_step, strerror(errno));
	close(master);
}

_Noreturn void run_child(struct spec *spec, int report)
{
	if (set_up(spec))
		fail_child(report, "%s: %s", mount_step, strerror(errno));
	give_terminal(spec, report);
	become(spec, report);
}

_Noreturn void exec_child(struct spec *spec, int report)
{
	/* The relay has entered the container's namespaces: what it forked is inside already. */
	give_terminal(spec, report);
	become(spec, report);
}
