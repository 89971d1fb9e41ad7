// SPDX-License-Identifier: Apache-2.0
import type { Scope } from '../../../base/scope.ts'
import type { Container, Handler, Probe } from './manifest.ts'
import { type Attempt, repeat } from './probes.ts'

/** One running instance of a container, and who wants to know about it. */
export interface Watched {
  readonly spec: Container
  readonly scope: Scope
  readonly handle: (handler: Handler, timeout: number) => Promise<Attempt>
  readonly tell: (type: 'Normal' | 'Warning', reason: string, message: string) => void
  /** Started, and through its startup probe. */
  readonly onUp: () => void
  readonly onReady: (ready: boolean) => void
  /** It is to be killed, within so many seconds if the probe says how many. */
  readonly onFailure: (why: string, grace: number | undefined) => void
}

const hookTimeout = 60_000

/** postStart, then the startup probe, then liveness and readiness, until the result is called. */
export function watchOver(watched: Watched): () => void {
  const { spec, scope, handle, tell } = watched
  const stops: (() => void)[] = []
  let over = false
  const stop = () => {
    over = true
    for (const end of stops) end()
  }

  const begin = (probe: Probe, name: string, eager: boolean, onVerdict: (verdict: 'success' | 'failure') => void) => {
    const end = repeat(
      scope,
      `${name} probe`,
      probe,
      (timeout) => handle(probe, timeout),
      (verdict, result) => {
        if (over) return
        if (!result.ok) tell('Warning', 'Unhealthy', `${name} probe failed: ${result.message}`)
        if (verdict !== 'undecided') onVerdict(verdict)
      },
      eager,
    )
    stops.push(end)
    return end
  }
  const fail = (name: string, probe: Probe) => {
    stop()
    watched.onFailure(
      `Container ${spec.name} failed ${name} probe, will be restarted`,
      probe.terminationGracePeriodSeconds,
    )
  }

  function up(): void {
    const { livenessProbe, readinessProbe } = spec
    watched.onUp()
    if (livenessProbe) {
      begin(livenessProbe, 'Liveness', false, (verdict) => {
        if (verdict === 'failure') fail('liveness', livenessProbe)
      })
    }
    if (readinessProbe) begin(readinessProbe, 'Readiness', true, (verdict) => watched.onReady(verdict === 'success'))
  }

  function start(): void {
    const { startupProbe } = spec
    if (over) return
    if (!startupProbe) {
      up()
      return
    }
    const end = begin(startupProbe, 'Startup', true, (verdict) => {
      if (verdict === 'failure') fail('startup', startupProbe)
      else {
        end()
        up()
      }
    })
  }

  const { postStart } = spec.lifecycle ?? {}
  if (!postStart) start()
  else {
    void handle(postStart, hookTimeout).then((result) => {
      if (result.ok || over) return start()
      tell('Warning', 'FailedPostStartHook', `PostStartHook failed: ${result.message}`)
      watched.onFailure('FailedPostStartHook', undefined)
    })
  }
  return stop
}
