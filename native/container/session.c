/* SPDX-License-Identifier: Apache-2.0 */
/* One request's relay: starts the program, carries its streams over the socket and into the log, tells how it ended. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "frames.h"
#include "log.h"
#include "mounts.h"
#include "program.h"

struct relay {
	int conn, input, output[2], report;
	struct log *log;
	bool tee;
	pid_t child;
	char pending[FRAME_MAX]; /* input the program has not taken yet */
	size_t pending_from, pending_to;
	bool input_ends;
};

int receive_fd(int socket)
{
	char byte[1024], control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { byte, sizeof(byte) - 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;
	int fd;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (head && head->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(head), sizeof(int));
		return fd;
	}
	step("%.*s", n > 0 ? (int)n : 0, byte);
	return -1;
}

/* fork, with the child in a new pid namespace if it is to have its own. */
static pid_t fork_with(int flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static int enter_container(const struct spec *spec)
{
	step("enter the container");
	int fd = syscall(SYS_pidfd_open, spec->pid, 0);
	if (fd < 0 || join_cgroups(&spec->cgroups))
		return -1;
	step("enter the container");
	return setns(fd, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID);
}

static int start(struct relay *relay, struct spec *spec)
{
	bool exec = !strcmp(spec->op, "exec");
	int in[2], out[2], err[2], report[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		return step("make pipes"), -1;
	/* After setns(CLONE_NEWPID) only a child is inside; the relay itself stays what it was otherwise, and is no longer needed
	 * among the node's mounts. */
	if (exec && enter_container(spec))
		return -1;
	int flags = !exec && spec->root && (!spec->pidns || !strcmp(spec->pidns, "new")) ? CLONE_NEWPID : 0;
	if (spec->pidns && spec->pidns[0] == '/' && join_namespace(spec->pidns, CLONE_NEWPID))
		return -1;
	relay->child = fork_with(flags);
	if (relay->child < 0)
		return step("fork"), -1;
	if (!relay->child) {
		int null = spec->in ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
		dup2(spec->in ? in[0] : null, 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		close(relay->conn);
		if (exec)
			exec_child(spec, report[1]);
		run_child(spec, report[1]);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(report[1]);
	relay->report = report[0];
	relay->input = in[1];
	relay->output[0] = out[0];
	relay->output[1] = err[0];
	if (!spec->in) {
		close(relay->input);
		relay->input = -1;
	}
	if (spec->tty) {
		int terminal = receive_fd(report[0]);
		if (terminal < 0)
			return errno = 0, -1;
		for (int i = 0; i < 2; i++) {
			close(relay->output[i]);
			relay->output[i] = -1;
		}
		if (relay->input >= 0)
			close(relay->input);
		relay->output[0] = terminal;
		relay->input = spec->in ? dup(terminal) : -1;
	}
	/* Silence means the program's exec closed the socket. */
	if (receive_fd(report[0]) < 0 && *mount_step)
		return errno = 0, -1;
	if (relay->input >= 0)
		fcntl(relay->input, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++)
		if (relay->output[i] >= 0)
			fcntl(relay->output[i], F_SETFL, O_NONBLOCK);
	return 0;
}

static void carry_input(struct relay *relay)
{
	while (relay->pending_from < relay->pending_to) {
		ssize_t n = write(relay->input, relay->pending + relay->pending_from, relay->pending_to - relay->pending_from);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) { /* the program has closed its input */
			relay->pending_from = relay->pending_to;
			relay->input_ends = true;
			break;
		}
		relay->pending_from += n;
	}
	if (relay->input_ends) {
		close(relay->input);
		relay->input = -1;
	}
}

/* false: the client is gone. */
static bool take_frame(struct relay *relay, bool tty)
{
	static char data[FRAME_MAX];
	uint8_t type;
	int n = frame_receive(relay->conn, &type, data);

	if (n < 0)
		return false;
	if (type == FRAME_SIGNAL && n == 1)
		kill(relay->child, data[0]);
	if (type == FRAME_RESIZE && n == 4 && relay->output[0] >= 0) {
		uint16_t size[2];
		memcpy(size, data, 4);
		struct winsize window = { .ws_col = size[0], .ws_row = size[1] };
		ioctl(relay->output[0], TIOCSWINSZ, &window);
	}
	if (type == FRAME_STDIN && relay->input >= 0) {
		if (!n && tty)
			data[n++] = 4; /* what a keyboard says at the end of input */
		else if (!n)
			relay->input_ends = true;
		memcpy(relay->pending, data, n);
		relay->pending_from = 0;
		relay->pending_to = n;
		carry_input(relay);
	}
	return true;
}

/* false: nothing (more) to read now. */
static bool carry_output(struct relay *relay, int which)
{
	char data[32768];
	ssize_t n = read(relay->output[which], data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* end, or EIO of a terminal nobody holds */
		close(relay->output[which]);
		relay->output[which] = -1;
		return false;
	}
	if (relay->log)
		log_write(relay->log, which, data, n);
	if (relay->tee && frame_send(relay->conn, which ? FRAME_STDERR : FRAME_STDOUT, data, n))
		relay->tee = false;
	return true;
}

static void relay_until_end(struct relay *relay, const struct spec *spec, int signals)
{
	bool client = true;
	struct signalfd_siginfo seen;
	int status = 0;

	for (;;) {
		bool full = relay->pending_from < relay->pending_to;
		struct pollfd polls[] = {
			{ client && !full ? relay->conn : -1, POLLIN, 0 },
			{ full ? relay->input : -1, POLLOUT, 0 },
			{ relay->output[0], POLLIN, 0 },
			{ relay->output[1], POLLIN, 0 },
			{ signals, POLLIN, 0 },
		};
		if (poll(polls, 5, -1) < 0 && errno != EINTR)
			break;
		if (polls[2].revents)
			carry_output(relay, 0);
		if (polls[3].revents)
			carry_output(relay, 1);
		if (polls[1].revents)
			carry_input(relay);
		if (polls[0].revents && !take_frame(relay, spec->tty)) {
			client = false;
			kill(relay->child, SIGKILL);
		}
		if (polls[4].revents && read(signals, &seen, sizeof(seen)) > 0 && waitpid(relay->child, &status, WNOHANG) == relay->child)
			break;
	}
	for (int which = 0; which < 2; which++)
		while (relay->output[which] >= 0 && carry_output(relay, which))
			;
	if (relay->log)
		log_close(relay->log);
	int32_t end[2] = { WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0 };
	frame_send(relay->conn, FRAME_ENDED, end, sizeof(end));
	/* Closing while the client still writes would fail its write, and what it has not read yet would be lost with it. */
	shutdown(relay->conn, SHUT_WR);
	char rest[4096];
	while (read(relay->conn, rest, sizeof(rest)) > 0)
		;
}

void session(int conn, struct spec *spec, int signals)
{
	static struct relay relay;

	relay = (struct relay){ .conn = conn, .input = -1, .output = { -1, -1 }, .tee = !spec->log || spec->tee };
	if (spec->log && !(relay.log = log_open(spec->log, spec->log_size))) {
		frame_text(conn, FRAME_FAILED, "open the log %s: %s", spec->log, strerror(errno));
		return;
	}
	*mount_step = 0;
	if (start(&relay, spec)) {
		int error = errno;
		if (relay.child > 0)
			kill(relay.child, SIGKILL);
		frame_text(conn, FRAME_FAILED, error ? "%s: %s" : "%s", mount_step, strerror(error));
		return;
	}
	frame_text(conn, FRAME_STARTED, "%d", relay.child);
	relay_until_end(&relay, spec, signals);
}
