/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `path` below `root`, links resolved inside it. A descriptor, or -1 with errno. */
int open_in(int root, const char *path, int flags);
/* Opens the parent directory, made if need be; `base` (256 bytes) becomes the last part. */
int parent_of(int root, const char *path, char *base);
int file_in(int root, const char *path, int mode);
/* These answer 0 or -1 with errno, and say by `step` what they tried. */
int link_file(int root, char *link);	 /* "target\x1fpath" */
int write_file_in(int root, char *file); /* "path\x1fcontent" */
int make_directory(int root, const char *path, int mode);
