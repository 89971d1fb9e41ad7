/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is being tried, for the message should it fail. */
extern char mount_step[512];
/* Notes it; answers 0. */
int step(const char *format, ...) __attribute__((format(printf, 1, 2)));
