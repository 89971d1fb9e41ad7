// SPDX-License-Identifier: Apache-2.0

import { control } from './control.ts'
import { delay } from './delay.ts'
import { dns } from './dns.ts'
import { events } from './events.ts'
import type { Section } from './figure.ts'
import { kubernetes } from './kubernetes.ts'
import { l7 } from './l7.ts'
import { path } from './path.ts'
import { policySection } from './policy.ts'
import { programs } from './programs.ts'
import { questions } from './questions.ts'
import { restarts } from './restarts.ts'

/** In the order of running. */
export const sections: readonly Section[] = [
  path,
  programs,
  events,
  policySection,
  questions,
  control,
  delay,
  restarts,
  l7,
  dns,
  kubernetes,
]
