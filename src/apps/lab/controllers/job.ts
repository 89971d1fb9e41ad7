// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { recorder, timestamp } from './events.ts'
import type { Condition, Job, Pod } from './objects.ts'
import { claim, controllerKey, remove } from './ownership.ts'
import { conditionOf, isActive, isReady, podFrom } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'
import { withoutVersion } from './replicaset.ts'

const INDEX = 'batch.kubernetes.io/job-completion-index'

/** Runs pods until enough of them succeeded or too many failed. */
export const jobController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'job-controller', now)

  const create = (job: Job, index: number | undefined) => {
    const own = {
      'batch.kubernetes.io/controller-uid': job.metadata.uid,
      'batch.kubernetes.io/job-name': job.metadata.name,
      'controller-uid': job.metadata.uid,
      'job-name': job.metadata.name,
    }
    const numbered = index === undefined ? {} : { [INDEX]: String(index) }
    const template = index === undefined ? job.spec.template : indexed(job, index)
    const pod = store.create<Pod>(
      'pods',
      podFrom(job, template, { labels: { ...own, ...numbered }, annotations: numbered }),
    )
    record(job, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`)
  }

  const finish = (job: Job, pods: readonly Pod[], condition: Condition) => {
    for (const pod of pods.filter(isActive)) remove(store, 'pods', pod)
    const type = condition.type === 'Complete' ? 'Normal' : 'Warning'
    record(job, type, condition.type === 'Complete' ? 'Completed' : (condition.reason ?? ''), condition.message ?? '')
  }

  return {
    name: 'job',
    watches: [
      { resource: 'jobs.batch', keys: (o) => [keyOf(o)] },
      { resource: 'pods', keys: controllerKey('Job') },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const job = store.find<Job>('jobs.batch', namespace, name)
      if (!job || job.metadata.deletionTimestamp) return undefined
      const ended = ending(job)
      if (ended) return expire(store, job, ended, now())
      const time = timestamp(now())
      const pods = claim<Pod>(store, 'pods', job, job.spec.selector)
      const succeeded = pods.filter((p) => p.status?.phase === 'Succeeded')
      const failed = pods.filter((p) => p.status?.phase === 'Failed').length
      const verdict = judge(job, succeeded, failed, now())
      if (verdict) finish(job, pods, verdict)
      else if (!job.spec.suspend) fill(job, pods, succeeded, create)
      else for (const pod of pods.filter(isActive)) remove(store, 'pods', pod)
      const active = verdict ? [] : claim<Pod>(store, 'pods', job).filter(isActive)
      const conditions = [
        ...(job.status?.conditions ?? []).filter((c) => c.type !== 'Suspended'),
        ...(job.spec.suspend
          ? [
              {
                type: 'Suspended',
                status: 'True' as const,
                reason: 'JobSuspended',
                message: 'Job suspended',
                lastTransitionTime: conditionOf(job.status?.conditions, 'Suspended')?.lastTransitionTime ?? time,
              },
            ]
          : []),
        ...(verdict ? successCriteria(verdict, time) : []),
      ]
      const status = {
        ...(job.spec.suspend ? {} : { startTime: job.status?.startTime ?? time }),
        ...(verdict?.type === 'Complete' ? { completionTime: time } : {}),
        active: active.length,
        ready: active.filter(isReady).length,
        terminating: pods.filter((p) => p.metadata.deletionTimestamp).length,
        uncountedTerminatedPods: {},
        ...(succeeded.length > 0 ? { succeeded: succeeded.length } : {}),
        ...(failed > 0 ? { failed } : {}),
        ...(job.spec.completionMode === 'Indexed' && succeeded.length > 0
          ? { completedIndexes: ranges(succeeded.map(indexOf)) }
          : {}),
        ...(conditions.length > 0 ? { conditions } : {}),
      }
      if (!sameJson(status, job.status))
        store.updateStatus('jobs.batch', { ...job, metadata: withoutVersion(job), status })
      if (verdict || job.spec.activeDeadlineSeconds === undefined) return undefined
      return Math.max(1, Date.parse(status.startTime ?? time) + job.spec.activeDeadlineSeconds * 1000 - now())
    },
  }
}

/** The condition that ended the job. */
const ending = (job: Job): Condition | undefined =>
  job.status?.conditions?.find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True')

const expire = (store: Store, job: Job, ended: Condition, now: number): number | undefined => {
  if (job.spec.ttlSecondsAfterFinished === undefined) return undefined
  const left = Date.parse(ended.lastTransitionTime ?? '') + job.spec.ttlSecondsAfterFinished * 1000 - now
  if (left > 0) return left
  remove(store, 'jobs.batch', job)
  return undefined
}

const indexOf = (pod: Pod): number => Number(pod.metadata.annotations?.[INDEX] ?? 0)

const successes = (job: Job, succeeded: readonly Pod[]): number =>
  job.spec.completionMode === 'Indexed' ? new Set(succeeded.map(indexOf)).size : succeeded.length

const judge = (job: Job, succeeded: readonly Pod[], failed: number, now: number): Condition | undefined => {
  const enough =
    job.spec.completions === undefined ? succeeded.length > 0 : successes(job, succeeded) >= job.spec.completions
  if (enough)
    return {
      type: 'Complete',
      status: 'True',
      reason: 'CompletionsReached',
      message: 'Reached expected number of succeeded pods',
    }
  if (failed > (job.spec.backoffLimit ?? 6))
    return {
      type: 'Failed',
      status: 'True',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    }
  const started = Date.parse(job.status?.startTime ?? '')
  if (job.spec.activeDeadlineSeconds !== undefined && now - started >= job.spec.activeDeadlineSeconds * 1000)
    return {
      type: 'Failed',
      status: 'True',
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    }
  return undefined
}

const successCriteria = (verdict: Condition, lastTransitionTime: string): readonly Condition[] => {
  const first = verdict.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget'
  return [{ ...verdict, type: first }, verdict].map((c) => ({
    ...c,
    lastProbeTime: lastTransitionTime,
    lastTransitionTime,
  }))
}

const fill = (
  job: Job,
  pods: readonly Pod[],
  succeeded: readonly Pod[],
  create: (job: Job, index: number | undefined) => void,
) => {
  const active = pods.filter(isActive)
  const parallelism = job.spec.parallelism ?? 1
  const completions = job.spec.completions
  const left = completions === undefined ? parallelism : completions - successes(job, succeeded)
  const missing = Math.min(parallelism, left) - active.length
  if (job.spec.completionMode !== 'Indexed') {
    for (let i = 0; i < missing; i++) create(job, undefined)
    return
  }
  const taken = new Set([...active, ...succeeded].map(indexOf))
  const free = Array.from({ length: completions ?? 0 }, (_, i) => i).filter((i) => !taken.has(i))
  for (const index of free.slice(0, Math.max(0, missing))) create(job, index)
}

const indexed = (job: Job, index: number): Job['spec']['template'] => {
  const { template } = job.spec
  const variable = { name: 'JOB_COMPLETION_INDEX', value: String(index) }
  const containers = template.spec.containers.map((c) => ({
    ...c,
    env: [...((c['env'] as object[] | undefined) ?? []), variable],
  }))
  return { ...template, spec: { ...template.spec, hostname: `${job.metadata.name}-${index}`, containers } }
}

/** `0-2,5` for 0, 1, 2, 5. */
const ranges = (numbers: readonly number[]): string => {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const parts: [number, number][] = []
  for (const n of sorted) {
    const last = parts.at(-1)
    if (last && last[1] === n - 1) last[1] = n
    else parts.push([n, n])
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(',')
}
