// SPDX-License-Identifier: Apache-2.0
import type { Result } from '../../base/result.ts'
import type { Scope } from '../../base/scope.ts'
import type { Log } from './log.ts'
import type { AgentSettings } from './settings.ts'

/** How often the configuration is read again; kubelet takes a minute to bring a change. */
const DRIFT_SECONDS = 30

/** How the configuration as it is written now differs from the one this agent was started with. */
export interface Drift {
  /** Options that a restart would change. */
  readonly options: readonly { readonly name: string; readonly actual: string; readonly expected: string }[]
  /** Why a restart would fail, '' if it would not. */
  readonly problem: string
}

/** Compares what was read at start with what is read now; `ignored` names options that nobody is told about. */
export function drift(started: AgentSettings, now: Result<AgentSettings>, ignored: readonly string[]): Drift {
  if (!now.ok) return { options: [], problem: now.error.message }
  const options = Object.entries(started.options).flatMap(([name, value]) => {
    const [actual, expected] = [String(value), String(now.value.options[name])]
    return actual === expected || ignored.includes(name) ? [] : [{ name, actual, expected }]
  })
  return { options, problem: '' }
}

/** A number for metrics: options that differ, at least one when the configuration can not be read at all. */
export const driftCount = (d: Drift): number => d.options.length + (d.problem === '' ? 0 : 1)

/** A sentence for status and log, '' without a difference. */
export function driftText(d: Drift): string {
  if (d.problem !== '') return `the configuration has been changed and would be refused at the next start: ${d.problem}`
  if (d.options.length === 0) return ''
  const each = d.options.map((o) => `${o.name} is ${o.actual || 'empty'}, configured ${o.expected || 'empty'}`)
  return `the configuration has been changed since this agent started, restart it: ${each.join('; ')}`
}

/** Reads the configuration time and again, and says once in the log how it has been changed. */
export function followDrift(
  scope: Scope,
  started: AgentSettings,
  reread: (() => Result<AgentSettings>) | undefined,
  log: Log,
): () => Drift {
  let drifted: Drift = { options: [], problem: '' }
  if (reread && started.options['enable-drift-checker'] === true)
    scope.every('drift checker', DRIFT_SECONDS * 1000, () => {
      const earlier = driftText(drifted)
      drifted = drift(started, reread(), started.options['ignore-flags-drift-checker'] as string[])
      const text = driftText(drifted)
      if (text !== earlier && text !== '') log('warning', text)
    })
  return () => drifted
}
