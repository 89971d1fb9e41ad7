/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over a node's socket. A request is a list of records "key=value", each closed by a NUL byte, closed by an empty
 * record. After it both sides send frames: one byte type, four bytes length (little endian), payload. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum frame {
	FRAME_STDIN = 0,   /* to the program; empty: end of input */
	FRAME_STDOUT = 1,  /* from the program; empty: end of output (dial only) */
	FRAME_STDERR = 2,
	FRAME_RESIZE = 4,  /* u16 columns, u16 rows */
	FRAME_SIGNAL = 5,  /* u8 number */
	FRAME_STARTED = 6, /* text: process id as the node sees it; for dial: connected */
	FRAME_FAILED = 7,  /* text: what did not work; nothing was started */
	FRAME_ENDED = 8,   /* i32 exit code, i32 signal or 0 */
};

#define FRAME_MAX 65536

/* 0, or -1 when the other side is gone. Blocks. */
int frame_send(int fd, enum frame type, const void *data, size_t length);
int frame_text(int fd, enum frame type, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Payload length, or -1 when the other side is gone or sends nonsense. `data` has room for FRAME_MAX bytes. */
int frame_receive(int fd, uint8_t *type, char *data);
