/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the agent over its unix socket. */
#pragma once
#include "text.h"

enum ask {
	ASK_ANSWERED, /* status and answer are set */
	ASK_AWAY,     /* nobody listens, or who listened is gone: nothing is known to have been done */
	ASK_FAILED    /* errno says why */
};

/* Sends the body as `POST /v1/cni`; tries to connect for so many milliseconds. */
enum ask ask_agent(const char *socket_path, const struct text *body, int wait_ms, int *status, struct text *answer);
