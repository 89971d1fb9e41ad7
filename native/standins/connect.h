/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* connect HOST:PORT [--timeout=DURATION] [--protocol=tcp|udp]: exit 0 when it can, else 1 and TIMEOUT, REFUSED, DNS or OTHER on stderr. */
int connect_once(int argc, char **argv);
