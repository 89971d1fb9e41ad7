/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* lab-node enter PID NETNS [--cgroup DIR]... -- PROGRAM ARG...: a host program, among the host's files, in a network namespace of the
 * node whose init is PID: NETNS as the node names it, or "-" for the node's own. */
int enter(int argc, char **argv);
