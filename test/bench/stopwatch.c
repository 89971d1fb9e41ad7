/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in the place of a CNI plugin, runs the one beside it whose name ends in .timed, and writes down how long a
 * runtime waits for it: command, begin and end in milliseconds. Static and small, so that what is measured is not it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int count, char **arguments, char **environment)
{
	(void)count;
	char self[4000], plugin[4096], line[200];
	const char *command = getenv("CNI_COMMAND");
	double began = now();
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0) return 127;
	self[length] = 0;
	snprintf(plugin, sizeof plugin, "%s.timed", self);
	pid_t child = vfork();
	if (child == 0) {
		execve(plugin, arguments, environment);
		_exit(127);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0) return 127;
	int written = snprintf(line, sizeof line, "%s %.3f %.3f\n", command ? command : "", began, now());
	int fd = open("/run/cni-times", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)written) != written) return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}
