/* SPDX-License-Identifier: Apache-2.0 */
/* lab-node: a node of the lab. Makes its namespaces and is their init: it reaps, and starts what its socket asks for. The node's
 * spec comes on standard input; when that ends, or this process dies, the node dies with everything in it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "enter.h"
#include "frames.h"
#include "mounts.h"
#include "paths.h"
#include "program.h"
#include "sandbox.h"
#include "session.h"

/* The node's own root: the host's files, private changes in memory. Host directories on other file systems are seen where `share`
 * names them. */
static int node_root(struct spec *spec)
{
	static struct clone shares[LIST_MAX];
	struct mount_attr private = { .propagation = MS_PRIVATE };

	step("make mounts private");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	for (size_t i = 0; i < spec->shares.count; i++) {
		char bind[3000];
		snprintf(bind, sizeof(bind), "%s\x1f%s\x1fro", spec->shares.items[i], spec->shares.items[i]);
		if (clone_volume(strdup(bind), &shares[i]))
			return -1;
	}
	step("take the host's root and cgroups");
	int host = syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int cgroups = syscall(SYS_open_tree, AT_FDCWD, "/sys/fs/cgroup", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (host < 0 || cgroups < 0 || syscall(SYS_mount_setattr, cgroups, "", AT_EMPTY_PATH | AT_RECURSIVE, &private, sizeof(private)))
		return -1;
	int root = overlay_root("/tmp", "/");
	if (root < 0 || proc_mount(root, true) || sys_mount(root, cgroups, true) || dev_mount(root, true) ||
	    tmpfs_mount(root, "/run", "mode=755") || tmpfs_mount(root, "/tmp", "mode=1777"))
		return -1;
	static const char *const directories[] = { STAGE, "/run/netns", "/run/sandbox", "/run/lock", "/run/cilium", "/etc/cni/net.d",
						   "/opt/cni/bin", "/var/lib/kubelet/pods", "/var/lib/cilium", "/var/log/pods", IMAGE };
	step("make directories");
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		if (make_directory(root, directories[i], 0755))
			return -1;
	struct clone image = { .fd = host, .directory = true, .target = IMAGE };
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	if (syscall(SYS_mount_setattr, host, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) || attach_clone(root, &image))
		return -1;
	for (size_t i = 0; i < spec->shares.count; i++)
		if (attach_clone(root, &shares[i]))
			return -1;
	for (size_t i = 0; i < spec->files.count; i++)
		if (write_file_in(root, spec->files.items[i]))
			return -1;
	if (enter_root(root))
		return -1;
	step("mount bpffs");
	if (mount("bpffs", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return -1;
	step("share mounts inside the node");
	return mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
}

static void serve(int conn, int signals)
{
	static struct spec spec;
	const char *wrong = spec_read(conn, &spec);

	if (wrong)
		frame_text(conn, FRAME_FAILED, "%s", wrong);
	else if (!spec.op)
		frame_text(conn, FRAME_FAILED, "a request without op");
	else if (!strcmp(spec.op, "run") || !strcmp(spec.op, "exec"))
		session(conn, &spec, signals);
	else if (!strcmp(spec.op, "dial"))
		dial(conn, &spec);
	else if (!strcmp(spec.op, "sandbox"))
		sandbox(conn, &spec);
	else if (!strcmp(spec.op, "unsandbox"))
		unsandbox(conn, &spec);
	else
		frame_text(conn, FRAME_FAILED, "unknown op %s", spec.op);
}

_Noreturn static void init(struct spec *spec, int listener, int ready)
{
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "lab-node-init");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (join_cgroups(&spec->cgroups) || sethostname(spec->name, strlen(spec->name)) || loopback_up() || node_root(spec)) {
		dprintf(ready, "failed %s: %s\n", mount_step, strerror(errno));
		_exit(1);
	}
	int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	dprintf(ready, "ready\n");
	close(ready);
	for (;;) {
		struct pollfd polls[] = { { listener, POLLIN, 0 }, { signals, POLLIN, 0 } };
		struct signalfd_siginfo seen[16];
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		if (polls[1].revents && read(signals, seen, sizeof(seen)) > 0)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		if (!polls[0].revents)
			continue;
		int conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0)
			continue;
		pid_t child = fork();
		if (!child) {
			close(listener);
			close(signals);
			signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
			serve(conn, signals);
			_exit(0);
		}
		close(conn);
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return errno = ENAMETOOLONG, -1;
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	mode_t mask = umask(0177);
	int done = bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 256);
	umask(mask);
	return done ? -1 : fd;
}

/* A program in the caller's standard streams, so that whoever starts nodes waits for no descriptor it does not know. */
int main(int argc, char **argv)
{
	static struct spec spec;
	int ready[2];
	char answer[1024];

	if (argc > 1 && !strcmp(argv[1], "enter"))
		return enter(argc - 2, argv + 2);
	const char *wrong = spec_read(0, &spec);
	if (wrong || !spec.name || !spec.socket)
		return dprintf(2, "lab-node: %s\n", wrong ? wrong : "a node needs a name and a socket"), 2;
	int listener = listen_at(spec.socket);
	if (listener < 0)
		return dprintf(2, "lab-node: listen at %s: %s\n", spec.socket, strerror(errno)), 1;
	if (pipe2(ready, O_CLOEXEC))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	pid_t child = syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
	if (child < 0)
		return dprintf(2, "lab-node: make namespaces: %s\n", strerror(errno)), 1;
	if (!child) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		init(&spec, listener, ready[1]);
	}
	close(ready[1]);
	close(listener);
	ssize_t n = read(ready[0], answer, sizeof(answer));
	if (n < 5 || strncmp(answer, "ready", 5)) {
		dprintf(2, "lab-node: %.*s", n > 0 ? (int)n : 0, answer);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		unlink(spec.socket);
		return 1;
	}
	dprintf(1, "ready %d\n", child);
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	struct pollfd polls[] = { { 0, POLLIN, 0 }, { pidfd, POLLIN, 0 } };
	while (poll(polls, 2, -1) < 0 && errno == EINTR)
		;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(spec.socket);
	return 0;
}
