// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../base/time.ts'

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
