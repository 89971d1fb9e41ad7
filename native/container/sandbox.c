/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's network, ipc and uts namespaces, held by mounts in the node: /run/netns/NAME and /run/sandbox/NAME.{ipc,uts}. No process
 * is needed to keep them; they are gone when the node's mounts are. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frames.h"
#include "mounts.h"
#include "sandbox.h"
#include "session.h"

int loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int done = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);

	close(fd);
	return done;
}

static int keep(const char *kind, const char *path)
{
	char source[64];

	step("keep the %s namespace at %s", kind, path);
	int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -1;
	close(fd);
	snprintf(source, sizeof(source), "/proc/self/ns/%s", kind);
	return mount(source, path, NULL, MS_BIND, NULL);
}

static void path_for(char *path, size_t size, const char *kind, const char *name)
{
	snprintf(path, size, strcmp(kind, "net") ? "/run/sandbox/%s.%s" : "/run/netns/%s", name, kind);
}

static const char *const kinds[] = { "net", "ipc", "uts" };

static void drop(const char *name)
{
	char path[300];

	for (int i = 0; i < 3; i++) {
		path_for(path, sizeof(path), kinds[i], name);
		umount2(path, MNT_DETACH);
		unlink(path);
	}
}

void sandbox(int conn, struct spec *spec)
{
	char path[300];

	if (!spec->name || strchr(spec->name, '/') || strlen(spec->name) > 200) {
		frame_text(conn, FRAME_FAILED, "a sandbox needs a name without '/'");
		return;
	}
	/* The mounts must be made in the node's mount namespace, which this process has never left. */
	step("make namespaces");
	int done = unshare((spec->net ? 0 : CLONE_NEWNET) | CLONE_NEWIPC | CLONE_NEWUTS);
	if (!done && spec->hostname)
		done = sethostname(spec->hostname, strlen(spec->hostname));
	for (int i = spec->net ? 1 : 0; i < 3 && !done; i++) {
		path_for(path, sizeof(path), kinds[i], spec->name);
		done = keep(kinds[i], path);
	}
	if (!done && !spec->net)
		done = loopback_up();
	if (done) {
		int error = errno;
		drop(spec->name);
		frame_text(conn, FRAME_FAILED, "%s: %s", mount_step, strerror(error));
		return;
	}
	frame_send(conn, FRAME_STARTED, "", 0);
}

void unsandbox(int conn, const struct spec *spec)
{
	if (spec->name && !strchr(spec->name, '/'))
		drop(spec->name);
	frame_send(conn, FRAME_STARTED, "", 0);
}
