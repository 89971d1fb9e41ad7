/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "spec.h"

/* Called in a fresh child (its standard streams set, unless a terminal is asked for): do not return. Failures go as text to `report`; a
 * terminal's descriptor goes there too; success closes it by exec. */
_Noreturn void run_child(struct spec *spec, int report);
_Noreturn void exec_child(struct spec *spec, int report);
