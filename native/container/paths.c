/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a root that is not ours: symbolic links in it must not lead out of it, so every look-up is openat2 in that root. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "paths.h"
#include "spec.h"
#include "step.h"

int open_in(int root, const char *path, int flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	return syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

int make_directory(int root, const char *path, int mode)
{
	char sofar[4096] = "";
	char copy[4096];
	char *rest = copy, *part;

	if (strlen(path) >= sizeof(copy))
		return errno = ENAMETOOLONG, -1;
	strcpy(copy, path);
	while ((part = strsep(&rest, "/"))) {
		if (!*part)
			continue;
		int parent = open_in(root, sofar, O_PATH | O_DIRECTORY);
		if (parent < 0)
			return -1;
		int made = mkdirat(parent, part, mode);
		close(parent);
		if (made && errno != EEXIST)
			return -1;
		strcat(strcat(sofar, "/"), part);
	}
	int fd = open_in(root, sofar, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int parent_of(int root, const char *path, char *base)
{
	char copy[4096], again[4096];

	if (strlen(path) >= sizeof(copy))
		return errno = ENAMETOOLONG, -1;
	strcpy(copy, path);
	strcpy(again, path);
	if (make_directory(root, dirname(copy), 0755))
		return -1;
	strcpy(copy, path);
	snprintf(base, 256, "%s", basename(again));
	return open_in(root, dirname(copy), O_PATH | O_DIRECTORY);
}

/* A file to mount over or to write. A symbolic link there gives way: it may point to what this root does not have. */
int file_in(int root, const char *path, int mode)
{
	char base[256];
	struct stat st;
	int parent = parent_of(root, path, base);

	if (parent < 0)
		return -1;
	if (!fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode))
		unlinkat(parent, base, 0);
	int fd = openat(parent, base, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0 && (errno == EISDIR || errno == ENXIO))
		fd = openat(parent, base, O_PATH | O_CLOEXEC);
	close(parent);
	return fd;
}

int link_file(int root, char *link)
{
	char *part[2], base[256];

	spec_parts(link, part, 2);
	step("link %s to %s", part[1], part[0]);
	int parent = parent_of(root, part[1], base);
	if (parent < 0)
		return -1;
	unlinkat(parent, base, 0);
	int made = symlinkat(part[0], parent, base);
	close(parent);
	return made;
}

int write_file_in(int root, char *file)
{
	char *part[2];

	spec_parts(file, part, 2);
	step("write %s", part[0]);
	int fd = file_in(root, part[0], 0644);
	if (fd < 0 || ftruncate(fd, 0))
		return -1;
	ssize_t n = write(fd, part[1], strlen(part[1]));
	close(fd);
	return n == (ssize_t)strlen(part[1]) ? 0 : -1;
}
