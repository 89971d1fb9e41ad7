/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>

/* A container's log in the form runtimes write: "2025-01-02T03:04:05.123456789Z stdout F line". A part of a line too long for
 * the buffer is marked P. Beyond `limit` bytes the file becomes PATH.1 and a new one starts. */
struct log;
struct log *log_open(const char *path, long limit);
void log_write(struct log *log, int which, const char *data, size_t length);
void log_close(struct log *log);
