/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "spec.h"

/* The last steps of every program: what it may do, who it is, exec. Tells `report` what failed and ends. */
_Noreturn void become(const struct spec *spec, int report);
_Noreturn void fail_child(int report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Moves the caller into the cgroups of the request. 0, or -1 with errno and mount_step. */
int join_cgroups(const struct list *cgroups);
int join_namespace(const char *path, int type);
/* Opens a pseudo terminal of this mount namespace and makes it the controlling terminal; answers the other end. */
int open_terminal(void);
int send_fd(int socket, int fd);
int receive_fd(int socket);
