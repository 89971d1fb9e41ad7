// SPDX-License-Identifier: Apache-2.0

/** One line of bench.json. `goal` is an upper bound unless `higher` says that more is better. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What it was measured against, in the same run. */
  readonly baseline?: number
  readonly ratio?: number
  readonly goal?: number
  readonly higher?: boolean
  readonly met?: boolean
}

export interface Section {
  readonly name: string
  readonly run: (report: (figure: Figure) => void) => Promise<void>
}

/** A figure judged by its own value. */
export function absolute(name: string, value: number, unit: string, goal?: number, higher = false): Figure {
  if (goal === undefined) return { name, value, unit }
  return { name, value, unit, goal, ...(higher ? { higher } : {}), met: higher ? value >= goal : value <= goal }
}

/** A figure judged by its ratio to a baseline of the same run. */
export function relative(
  name: string,
  value: number,
  unit: string,
  baseline: number,
  ratio: number,
  goal?: number,
  higher = false,
): Figure {
  const judged = goal === undefined ? {} : { goal, met: higher ? ratio >= goal : ratio <= goal }
  return { name, value, unit, baseline, ratio, ...(higher ? { higher } : {}), ...judged }
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The value below which the fraction `q` of the values lies, by nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
}
