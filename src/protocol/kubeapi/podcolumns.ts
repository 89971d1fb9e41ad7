// SPDX-License-Identifier: Apache-2.0
import { ageColumn, at, type Column, column, condition, count, list, nameColumn, size, text, wide } from './cells.ts'
import { humanDuration } from './duration.ts'
import type { KubeObject } from './object.ts'

/** The one word that `kubectl get pods` shows as a pod's status. */
export function podStatus(pod: KubeObject): string {
  const word = statusBeforeDeletion(pod)
  if (!pod.metadata.deletionTimestamp) return word
  return at(pod, 'status.reason') === 'NodeLost'
    ? 'Unknown'
    : word === 'Completed' || /^(Error|Init:|ExitCode)/.test(word)
      ? word
      : 'Terminating'
}

function statusBeforeDeletion(pod: KubeObject): string {
  let word = text(pod, 'status.reason', text(pod, 'status.phase', 'Unknown'))
  if (list(pod, 'status.conditions').some((c) => c['type'] === 'PodScheduled' && c['reason'] === 'SchedulingGated'))
    word = 'SchedulingGated'
  const inits = list(pod, 'spec.initContainers')
  const initStatuses = list(pod, 'status.initContainerStatuses')
  for (const [i, status] of initStatuses.entries()) {
    const sidecar = inits.find((c) => c['name'] === status['name'])?.['restartPolicy'] === 'Always'
    if (at(status, 'state.terminated.exitCode') === 0 || (sidecar && status['started'] === true)) continue
    if (at(status, 'state.terminated')) return `Init:${ended(status)}`
    const waiting = text(status, 'state.waiting.reason', '')
    return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${i}/${inits.length}`
  }
  let running = false
  for (const status of list(pod, 'status.containerStatuses').toReversed()) {
    const waiting = text(status, 'state.waiting.reason', '')
    if (waiting !== '') word = waiting
    else if (at(status, 'state.terminated')) word = ended(status)
    else if (status['ready'] === true && at(status, 'state.running')) running = true
  }
  if (word === 'Completed' && running) return condition(pod, 'Ready')?.['status'] === 'True' ? 'Running' : 'NotReady'
  return word
}

function ended(status: unknown): string {
  const reason = text(status, 'state.terminated.reason', '')
  if (reason !== '') return reason
  const signal = count(status, 'state.terminated.signal')
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${count(status, 'state.terminated.exitCode')}`
}

function podRestarts(pod: KubeObject, now: number): string {
  const sidecars = list(pod, 'spec.initContainers')
    .filter((c) => c['restartPolicy'] === 'Always')
    .map((c) => c['name'])
  const statuses = [
    ...list(pod, 'status.containerStatuses'),
    ...list(pod, 'status.initContainerStatuses').filter((s) => sidecars.includes(s['name'])),
  ]
  const restarts = statuses.reduce((sum, s) => sum + count(s, 'restartCount'), 0)
  const times = statuses
    .map((s) => Date.parse(text(s, 'lastState.terminated.finishedAt', '')))
    .filter((t) => !Number.isNaN(t))
  return restarts > 0 && times.length > 0
    ? `${restarts} (${humanDuration(now - Math.max(...times))} ago)`
    : String(restarts)
}

function podReady(pod: KubeObject): string {
  const sidecars = list(pod, 'spec.initContainers')
    .filter((c) => c['restartPolicy'] === 'Always')
    .map((c) => c['name'])
  const statuses = [
    ...list(pod, 'status.containerStatuses'),
    ...list(pod, 'status.initContainerStatuses').filter((s) => sidecars.includes(s['name'])),
  ]
  const ready = statuses.filter((s) => s['ready'] === true && at(s, 'state.running')).length
  return `${ready}/${size(pod, 'spec.containers') + sidecars.length}`
}

/** The columns of pods. */
export const podColumns: readonly Column[] = [
  nameColumn,
  column('Ready', podReady),
  column('Status', podStatus),
  column('Restarts', podRestarts),
  ageColumn,
  wide('IP', (o) => text(o, 'status.podIP')),
  wide('Node', (o) => text(o, 'spec.nodeName')),
  wide('Nominated Node', (o) => text(o, 'status.nominatedNodeName')),
  wide('Readiness Gates', (o) => {
    const gates = list(o, 'spec.readinessGates')
    const met = gates.filter((g) => condition(o, String(g['conditionType']))?.['status'] === 'True').length
    return gates.length === 0 ? '<none>' : `${met}/${gates.length}`
  }),
]
