// SPDX-License-Identifier: Apache-2.0
import type { Section } from './figure.ts'
import { path } from './path.ts'

/** In the order of running. */
export const sections: readonly Section[] = [path]
