/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "spec.h"

/* Serves a `run` or `exec` on `conn` until its program has ended. `signals`: a signalfd that takes SIGCHLD. */
void session(int conn, struct spec *spec, int signals);
/* Serves a `dial`: connects in a network namespace, then carries bytes both ways. */
void dial(int conn, const struct spec *spec);
/* Makes or removes a pod's namespaces, kept by mounts. Answers on `conn`. */
void sandbox(int conn, struct spec *spec);
void unsandbox(int conn, const struct spec *spec);
