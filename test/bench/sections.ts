// SPDX-License-Identifier: Apache-2.0

import { control } from './control.ts'
import { events } from './events.ts'
import type { Section } from './figure.ts'
import { path } from './path.ts'
import { policySection } from './policy.ts'

/** In the order of running. */
export const sections: readonly Section[] = [path, events, policySection, control]
