/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Brings lo of the caller's network namespace up. 0, or -1 with errno. */
int loopback_up(void);
