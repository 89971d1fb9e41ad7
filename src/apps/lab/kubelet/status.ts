// SPDX-License-Identifier: Apache-2.0
import { timestamp } from '../controllers/events.ts'
import type { Condition, Container, ContainerStatus, Pod, PodStatus } from './manifest.ts'

/** What a kubelet knows of a pod when it writes its status. */
export interface PodFindings {
  readonly init: readonly ContainerStatus[]
  readonly main: readonly ContainerStatus[]
  readonly ephemeral: readonly ContainerStatus[]
  readonly initialized: boolean
  /** Set once nothing of the pod will run again. */
  readonly finished: boolean
  readonly failure?: { readonly reason: string; readonly message: string }
  readonly sandbox: boolean
  readonly podIPs: readonly string[]
  readonly hostIPs: readonly string[]
  /** Milliseconds. */
  readonly startTime: number
}

export function phaseOf(pod: Pod, findings: PodFindings): string {
  if (findings.failure) return 'Failed'
  if (findings.finished) {
    const codes = findings.main.map((c) => c.state.terminated?.exitCode ?? 137)
    return findings.initialized && codes.every((code) => code === 0) ? 'Succeeded' : 'Failed'
  }
  if (!findings.initialized) return 'Pending'
  const begun = findings.main.some((c) => c.state.running || c.state.terminated || c.restartCount > 0)
  const waits = findings.main.some((c) => c.state.waiting && c.restartCount === 0 && !c.lastState.terminated)
  return begun && !waits ? 'Running' : begun && pod.status?.phase === 'Running' ? 'Running' : 'Pending'
}

/** The pod's status; what others wrote into it (PodScheduled, readiness gates, nominatedNodeName) stays. */
export function podStatus(pod: Pod, findings: PodFindings, now: number): PodStatus {
  const phase = phaseOf(pod, findings)
  const unready = findings.main.filter((c) => !c.ready).map((c) => c.name)
  const done = phase === 'Succeeded'
  const ended = done || phase === 'Failed'
  const gates = (pod.spec.readinessGates ?? []).map((g) => g.conditionType)
  const gatesOk = gates.every((type) => pod.status?.conditions?.find((c) => c.type === type)?.status === 'True')
  const because = done
    ? { reason: 'PodCompleted' }
    : phase === 'Failed'
      ? { reason: 'PodFailed' }
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
  const containersReady = !ended && unready.length === 0 && findings.initialized
  const wanted: readonly Condition[] = [
    { type: 'PodReadyToStartContainers', status: flag(findings.sandbox) },
    initializedCondition(findings, done),
    containersReady && gatesOk
      ? { type: 'Ready', status: 'True' }
      : containersReady
        ? { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: gateText(pod, gates) }
        : { type: 'Ready', status: 'False', ...because },
    containersReady
      ? { type: 'ContainersReady', status: 'True' }
      : { type: 'ContainersReady', status: 'False', ...because },
    { type: 'PodScheduled', status: 'True' },
  ]
  const before = pod.status?.conditions ?? []
  const conditions = [
    ...wanted.map((condition) => {
      const old = before.find((c) => c.type === condition.type)
      const since = old?.status === condition.status ? old.lastTransitionTime : undefined
      return { ...condition, lastProbeTime: null, lastTransitionTime: since ?? timestamp(now) }
    }),
    ...before.filter((c) => !wanted.some((w) => w.type === c.type)),
  ]
  const { podIP: _, podIPs: __, reason: ___, message: ____, ...kept } = pod.status ?? {}
  return {
    ...kept,
    phase,
    ...(findings.failure ?? {}),
    conditions,
    ...(findings.hostIPs[0] ? { hostIP: findings.hostIPs[0], hostIPs: findings.hostIPs.map((ip) => ({ ip })) } : {}),
    ...(findings.podIPs[0] ? { podIP: findings.podIPs[0], podIPs: findings.podIPs.map((ip) => ({ ip })) } : {}),
    startTime: pod.status?.startTime ?? timestamp(findings.startTime),
    ...(findings.init.length ? { initContainerStatuses: findings.init } : {}),
    containerStatuses: findings.main,
    ...(findings.ephemeral.length ? { ephemeralContainerStatuses: findings.ephemeral } : {}),
    qosClass: qosClass(pod),
  }
}

const flag = (value: boolean) => (value ? 'True' : 'False') as 'True' | 'False'

const gateText = (pod: Pod, gates: readonly string[]) =>
  gates
    .filter((type) => pod.status?.conditions?.find((c) => c.type === type)?.status !== 'True')
    .map((type) => `corresponding condition of pod readiness gate "${type}" does not exist or is not "True".`)
    .join(' ')

function initializedCondition(findings: PodFindings, done: boolean): Condition {
  if (findings.initialized) return { type: 'Initialized', status: 'True', ...(done ? { reason: 'PodCompleted' } : {}) }
  const left = findings.init.filter((c) => !c.ready).map((c) => c.name)
  return {
    type: 'Initialized',
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${left.join(' ')}]`,
  }
}

/** Guaranteed, Burstable or BestEffort, from requests and limits of cpu and memory. */
export function qosClass(pod: Pod): string {
  const all: readonly Container[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  const kinds = ['cpu', 'memory'] as const
  const value = (c: Container, of: 'requests' | 'limits', kind: string) => c.resources?.[of]?.[kind]
  const any = all.some((c) =>
    kinds.some((k) => value(c, 'requests', k) !== undefined || value(c, 'limits', k) !== undefined),
  )
  if (!any) return 'BestEffort'
  const whole = all.every((c) =>
    kinds.every((k) => {
      const limit = value(c, 'limits', k)
      return limit !== undefined && String(value(c, 'requests', k) ?? limit) === String(limit)
    }),
  )
  return whole ? 'Guaranteed' : 'Burstable'
}
