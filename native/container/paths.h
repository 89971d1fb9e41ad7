/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `path` below `root`, links resolved inside it. A descriptor, or -1 with errno. */
int open_in(int root, const char *path, int flags);
/* Opens the parent directory, made if need be; `base` (256 bytes) becomes the last part. */
int parent_of(int root, const char *path, char *base);
int file_in(int root, const char *path, int mode);
