/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct http_server {
	int port;
	void *handle;
};

/* Starts a thread that accepts and gives each connection a thread running `serve`, then closes it. */
void accept_forever(int listener, void (*serve)(int fd, const char *client, void *context), void *context);
