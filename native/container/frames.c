/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int send_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		length -= n;
	}
	return 0;
}

static int receive_all(int fd, char *data, size_t length)
{
	while (length) {
		ssize_t n = read(fd, data, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		length -= n;
	}
	return 0;
}

int frame_send(int fd, enum frame type, const void *data, size_t length)
{
	char buffer[5 + FRAME_MAX];

	if (length > FRAME_MAX)
		length = FRAME_MAX;
	buffer[0] = type;
	uint32_t size = length;
	memcpy(buffer + 1, &size, 4);
	memcpy(buffer + 5, data, length);
	return send_all(fd, buffer, 5 + length);
}

int frame_text(int fd, enum frame type, const char *format, ...)
{
	char text[4096];
	va_list list;

	va_start(list, format);
	int n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	return frame_send(fd, type, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

int frame_receive(int fd, uint8_t *type, char *data)
{
	char head[5];
	uint32_t size;

	if (receive_all(fd, head, 5))
		return -1;
	*type = head[0];
	memcpy(&size, head + 1, 4);
	if (size > FRAME_MAX || receive_all(fd, data, size))
		return -1;
	return size;
}
