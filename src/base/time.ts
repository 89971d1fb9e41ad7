// SPDX-License-Identifier: Apache-2.0

/** Time as an argument. The only implementations live in edge/runtime and in tests. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds of a clock that never jumps. */
  monotonic(): number
}
