// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { nextTime } from './cron.ts'
import { recorder, timestamp } from './events.ts'
import type { CronJob, Job } from './objects.ts'
import { claim, controlledBy, controllerKey, remove } from './ownership.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'
import { withoutVersion } from './replicaset.ts'

/** Makes a Job whenever a CronJob's schedule says so (UTC; `timeZone` is not read). */
export const cronJobController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'cronjob-controller', now)

  const create = (cron: CronJob, at: number) => {
    const name = `${cron.metadata.name}-${Math.floor(at / 60_000)}`
    const { metadata, spec } = cron.spec.jobTemplate
    store.create('jobs.batch', {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name,
        namespace: cron.metadata.namespace ?? '',
        ...(metadata?.labels ? { labels: metadata.labels } : {}),
        annotations: { ...metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': timestamp(at) },
        ownerReferences: [controlledBy(cron)],
      },
      spec,
    })
    record(cron, 'Normal', 'SuccessfulCreate', `Created job ${name}`)
  }

  return {
    name: 'cronjob',
    watches: [
      { resource: 'cronjobs.batch', keys: (o) => [keyOf(o)] },
      { resource: 'jobs.batch', keys: controllerKey('CronJob') },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const cron = store.find<CronJob>('cronjobs.batch', namespace, name)
      if (!cron || cron.metadata.deletionTimestamp) return undefined
      const jobs = claim<Job>(store, 'jobs.batch', cron)
      let active = jobs.filter((j) => !ended(j))
      forget(store, jobs, 'Complete', cron.spec.successfulJobsHistoryLimit ?? 3)
      forget(store, jobs, 'Failed', cron.spec.failedJobsHistoryLimit ?? 1)
      const last = Date.parse(cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp ?? '')
      const due = latestDue(cron.spec.schedule, last, now())
      const late =
        due !== undefined &&
        cron.spec.startingDeadlineSeconds !== undefined &&
        now() - due > cron.spec.startingDeadlineSeconds * 1000
      let lastScheduleTime = cron.status?.lastScheduleTime
      if (due !== undefined && !late && !cron.spec.suspend) {
        if (cron.spec.concurrencyPolicy === 'Replace') for (const job of active) remove(store, 'jobs.batch', job)
        if (cron.spec.concurrencyPolicy !== 'Forbid' || active.length === 0) {
          create(cron, due)
          lastScheduleTime = timestamp(due)
        }
      }
      active = claim<Job>(store, 'jobs.batch', cron).filter((j) => !ended(j))
      const status = {
        ...(lastScheduleTime ? { lastScheduleTime } : {}),
        ...(cron.status?.lastSuccessfulTime ? { lastSuccessfulTime: cron.status.lastSuccessfulTime } : {}),
        ...(active.length > 0
          ? {
              active: active.map((j) => ({
                apiVersion: 'batch/v1',
                kind: 'Job',
                name: j.metadata.name,
                namespace,
                uid: j.metadata.uid,
              })),
            }
          : {}),
      }
      if (!sameJson(status, cron.status))
        store.updateStatus('cronjobs.batch', { ...cron, metadata: withoutVersion(cron), status })
      const next = nextTime(cron.spec.schedule, now())
      return cron.spec.suspend || next === undefined ? undefined : Math.min(next - now() + 5, 2 ** 31 - 1)
    },
  }
}

const ended = (job: Job) =>
  job.status?.conditions?.some((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True') ?? false

const forget = (store: Store, jobs: readonly Job[], type: 'Complete' | 'Failed', limit: number) => {
  const done = jobs
    .filter((j) => j.status?.conditions?.some((c) => c.type === type && c.status === 'True'))
    .sort((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''))
  for (const job of done.slice(0, Math.max(0, done.length - limit))) remove(store, 'jobs.batch', job)
}

const latestDue = (schedule: string, after: number, now: number): number | undefined => {
  let due: number | undefined
  let at = after
  for (let i = 0; i < 100; i++) {
    const next = nextTime(schedule, at)
    if (next === undefined || next > now) return due
    due = at = next
  }
  return due
}
