/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mounts.h"

_Noreturn void fail_child(int report, const char *format, ...)
{
	char text[1024];
	va_list list;

	va_start(list, format);
	int n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	send(report, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1, MSG_NOSIGNAL);
	_exit(128);
}

int join_cgroups(const struct list *cgroups)
{
	char path[1024];

	for (size_t i = 0; i < cgroups->count; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroups->items[i]);
		step("join cgroup %s", cgroups->items[i]);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -1;
		ssize_t n = write(fd, "0", 1);
		close(fd);
		if (n != 1)
			return -1;
	}
	return 0;
}

int join_namespace(const char *path, int type)
{
	step("enter the namespace %s", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int done = setns(fd, type);
	close(fd);
	return done;
}

int open_terminal(void)
{
	char name[64];
	int number, unlock = 0;

	step("open a terminal");
	int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) || ioctl(master, TIOCGPTN, &number))
		return -1;
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	int slave = open(name, O_RDWR);
	if (slave < 0)
		return -1;
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		dup2(slave, i);
	if (slave > 2)
		close(slave);
	return master;
}

int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { "t", 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static void limit_bounding_set(unsigned long long kept)
{
	for (int cap = 0; cap <= 63; cap++)
		if (!(kept >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap);
}

static void limit_capabilities(unsigned long long kept)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return;
	for (int i = 0; i < 2; i++) {
		unsigned int part = kept >> (32 * i);
		data[i].permitted &= part;
		data[i].effective &= part;
		data[i].inheritable = 0;
	}
	syscall(SYS_capset, &head, data);
}

static int become_user(const struct spec *spec)
{
	gid_t groups[LIST_MAX];

	for (size_t i = 0; i < spec->groups.count; i++)
		groups[i] = strtol(spec->groups.items[i], NULL, 10);
	step("become user %ld, group %ld", spec->uid, spec->gid);
	return setgroups(spec->groups.count, groups) || setresgid(spec->gid, spec->gid, spec->gid) ||
			       setresuid(spec->uid, spec->uid, spec->uid)
		       ? -1
		       : 0;
}

static const char *path_of(const struct spec *spec)
{
	for (size_t i = spec->env.count; i--;)
		if (!strncmp(spec->env.items[i], "PATH=", 5))
			return spec->env.items[i] + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* execvp looks in its own environment's PATH; a container's is in its own. */
static int execute(const struct spec *spec)
{
	char *const *argv = spec->args.items, *const *envp = spec->env.items;
	char path[4096];
	int result = ENOENT;

	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		return errno;
	}
	for (const char *at = path_of(spec); *at;) {
		size_t length = strcspn(at, ":");
		snprintf(path, sizeof(path), "%.*s/%s", (int)length, at, argv[0]);
		execve(path, argv, envp);
		if (errno != ENOENT && errno != ENOTDIR)
			result = errno;
		at += length + (at[length] == ':');
	}
	return result;
}

_Noreturn void become(const struct spec *spec, int report)
{
	sigset_t none;
	struct sigaction normal = { .sa_handler = SIG_DFL };

	sigemptyset(&none);
	for (int i = 1; i < 65; i++)
		sigaction(i, &normal, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (chdir(spec->cwd ? spec->cwd : "/"))
		fail_child(report, "chdir to cwd (\"%s\") failed: %s", spec->cwd, strerror(errno));
	unsigned long long kept = spec->caps ? strtoull(spec->caps, NULL, 16) : ~0ULL;
	/* The bounding set while CAP_SETPCAP is still there; what the process itself holds once it is who it shall be. */
	if (spec->caps)
		limit_bounding_set(kept);
	if (become_user(spec))
		fail_child(report, "%s: %s", mount_step, strerror(errno));
	if (spec->caps)
		limit_capabilities(kept);
	if (spec->no_new_privs)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int error = spec->args.count ? execute(spec) : EINVAL;
	if (error == ENOENT)
		fail_child(report, "exec: \"%s\": executable file not found in %s", spec->args.items[0],
			   strchr(spec->args.items[0], '/') ? "the container's file system" : "$PATH");
	fail_child(report, "exec: \"%s\": %s", spec->args.count ? spec->args.items[0] : "", strerror(error));
}
