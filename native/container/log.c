/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 16384

struct log {
	int fd;
	long limit, size;
	char path[1024];
	char line[2][LINE_MAX_BYTES];
	size_t used[2];
};

struct log *log_open(const char *path, long limit)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	snprintf(log->path, sizeof(log->path), "%s", path);
	log->limit = limit ? limit : 10 << 20;
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (log->fd >= 0)
		return log;
	free(log);
	return NULL;
}

static void turn(struct log *log)
{
	char old[1100];

	snprintf(old, sizeof(old), "%s.1", log->path);
	rename(log->path, old);
	close(log->fd);
	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	log->size = 0;
}

static void put(struct log *log, int which, char kind)
{
	char text[LINE_MAX_BYTES + 64];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	n += snprintf(text + n, 64, ".%09ldZ %s %c ", now.tv_nsec, which ? "stderr" : "stdout", kind);
	memcpy(text + n, log->line[which], log->used[which]);
	n += log->used[which];
	text[n++] = '\n';
	log->used[which] = 0;
	ssize_t written = write(log->fd, text, n); /* a full disk loses lines, not the container */
	log->size += written > 0 ? written : 0;
	if (log->size > log->limit && kind == 'F')
		turn(log);
}

void log_write(struct log *log, int which, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] == '\n') {
			put(log, which, 'F');
			continue;
		}
		log->line[which][log->used[which]++] = data[i];
		if (log->used[which] == LINE_MAX_BYTES)
			put(log, which, 'P');
	}
}

void log_close(struct log *log)
{
	for (int which = 0; which < 2; which++)
		if (log->used[which])
			put(log, which, 'F');
	close(log->fd);
	free(log);
}
