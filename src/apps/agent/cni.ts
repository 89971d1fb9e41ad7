// SPDX-License-Identifier: Apache-2.0

import { ownerRows } from '../../derive/addresses/tables.ts'
import { endpoints } from '../../derive/endpoints/tables.ts'
import { interfaceRows } from '../../derive/interfaces/tables.ts'
import { isThatPod } from '../../derive/labels/tables.ts'
import { type EndpointStatus, endpointStatus } from '../../derive/status/tables.ts'
import type { Reconciliation } from '../../edge/runtime/reconcile.ts'
import { attachment, type Endpoint, type EndpointRequest, endpointName } from '../../model/endpoint.ts'
import { list, object, text } from '../../model/json.ts'
import { objectKey } from '../../model/meta.ts'
import type { Pod } from '../../model/pod.ts'
import { endpointOptions, endpointRequests, pods } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { CniError, type CniRequest, endpointRequestOf, requestOf, resultOf } from './cni-forms.ts'
import type { Log } from './log.ts'
import { podDevices } from './pod-devices.ts'
import { storedEndpoints } from './stored.ts'

const TRY_AGAIN = 11
const NOT_AVAILABLE = 50

export interface Cni {
  /** The answer to the plugin: a result, an error object, or undefined for an empty one. */
  handle(body: unknown): Promise<object | undefined>
}

export interface CniOptions {
  /** Why pods can not be started at present; '' if they can. */
  readonly notReady: () => string
  readonly log: Log
  /** Asks the API server for a pod; undefined where it has none. Rejects when it does not answer. */
  readonly findPod?: (namespace: string, name: string) => Promise<Pod | undefined>
  readonly netnsThere?: (path: string) => boolean
  /**
   * Longest wait of an ADD until its endpoint is ready; until an error (no address left, no such namespace, a full map)
   * is taken as final; until a pod that Kubernetes does not tell of is taken as deleted.
   */
  readonly readyMs?: number
  readonly addressMs?: number
  readonly unknownMs?: number
  readonly now?: () => number
}

export function openCni(db: Database, targets: Reconciliation, options: CniOptions): Cni {
  const { log, readyMs = 20_000, addressMs = 1_000, unknownMs = 3_000, now = () => performance.now() } = options
  const waiting = new Set<() => void>()
  db.listen((changed) => {
    if (changed.has('pods')) forgetSeen()
    for (const look of [...waiting]) look()
  })
  let removals: { keys: string[]; done: Promise<void> } | undefined

  async function add(request: EndpointRequest, version: string): Promise<object> {
    const key = attachment(request)
    const began = now()
    if (options.netnsThere?.(request.netns) === false)
      throw new CniError(4, 'CNI_NETNS names no network namespace', request.netns)
    const before = db.get(endpointRequests, key)
    if (before && before.netns !== request.netns) await remove(key)
    db.commit((tx) => tx.put(endpointRequests, { ...before, ...request }))
    try {
      const ready = await Promise.race([endpointReady(key), refusal(request)])
      log('info', 'endpoint added', {
        endpoint: ready.id,
        pod: endpointName(ready),
        ms: Math.round((now() - began) * 10) / 10,
      })
      return resultOf(db, ready, version)
    } catch (e) {
      // The runtime calls DEL, and may call ADD again; until then nothing of this attempt shall stay.
      if (db.get(endpointRequests, key)) await remove(key)
      throw e
    }
  }

  /** Asks for a pod that the watch has not told of, and rejects if there is none; otherwise stays open. */
  async function refusal(request: EndpointRequest): Promise<never> {
    const never = new Promise<never>(() => {})
    const { namespace, podName, podUid } = request
    const key = attachment(request)
    if (!options.findPod || podName === '' || (db.get(endpoints, key)?.labels.length ?? 0) > 0) return never
    const answer = await options.findPod(namespace, podName).then(
      (pod) => ({ pod }),
      () => undefined, // the watch will tell when the server is back
    )
    if (!answer) return never
    const seen = answer.pod
    if (!seen)
      throw new CniError(TRY_AGAIN, `there is no pod ${namespace}/${podName}`, 'the API server does not know it')
    if (!isThatPod(request, seen))
      throw new CniError(TRY_AGAIN, `there is no pod ${namespace}/${podName} with the UID ${podUid} any more`)
    const now = db.get(endpointRequests, key)
    const watched = db.get(pods, objectKey(seen))
    if (now && !(watched && isThatPod(request, watched))) db.commit((tx) => tx.put(endpointRequests, { ...now, seen }))
    return never
  }

  /** Of a pod that the watch tells of, nothing older counts. */
  function forgetSeen(): void {
    const rows = db.all(endpointRequests).filter((r) => r.seen && db.get(pods, objectKey(r.seen))?.uid === r.seen.uid)
    if (rows.length === 0) return
    db.commit((tx) => {
      for (const { seen: _, ...row } of rows) tx.put(endpointRequests, row)
    })
  }

  /** Resolves as soon as everything the endpoint needs is in the kernel and on disk. */
  function endpointReady(key: string): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      const began = now()
      const finish = (act: () => void) => {
        waiting.delete(look)
        clearInterval(timer)
        act()
      }
      const look = () => {
        const endpoint = db.get(endpoints, key)
        if (!endpoint)
          return finish(() => reject(new CniError(TRY_AGAIN, 'the endpoint was deleted while it was added')))
        const status = db.get(endpointStatus, key)
        const missing = whatIsMissing(endpoint, status)
        if (missing === '') return finish(() => resolve(endpoint))
        if (now() - began > patience(endpoint))
          finish(() => reject(new CniError(TRY_AGAIN, `the endpoint is not ready: ${missing}`, options.notReady())))
      }
      const timer = setInterval(look, 50)
      waiting.add(look)
      look()
    })
  }

  /** The device first: nothing else of an endpoint comes about without it. */
  const rowsOf = (e: Endpoint) => [
    targets.status(podDevices, e.link),
    targets.status(interfaceRows, String(e.interface)),
    ...[e.ipv4, e.ipv6].filter((a) => a !== '').map((a) => targets.status(ownerRows, a)),
    targets.status(storedEndpoints, e.attachment),
  ]

  function whatIsMissing(e: Endpoint, status: EndpointStatus | undefined): string {
    if (e.problem !== '') return e.problem
    const rows = rowsOf(e)
    for (const row of rows) if (row?.kind === 'error') return row.error
    if (status?.state !== 'ready') return status?.reason || `it is ${status?.state ?? 'not known'}`
    return rows.every((row) => row?.kind === 'done') ? '' : 'it is on its way into the kernel'
  }

  /** How long, in ms, it makes sense to wait for an endpoint as it is now. */
  function patience(e: Endpoint): number {
    if (e.problem !== '' || rowsOf(e).some((row) => row?.kind === 'error')) return addressMs
    return e.labels.length > 0 || !db.isInitialised(pods) ? readyMs : unknownMs
  }

  /** Deletions that come together go together: the kernel waits once for all devices of a batch. */
  function remove(key: string): Promise<void> {
    if (!removals) {
      const batch = { keys: [] as string[], done: new Promise<void>((resolve) => setImmediate(resolve)) }
      batch.done = batch.done.then(async () => {
        removals = undefined
        const revision = db.commit((tx) => {
          for (const k of batch.keys) {
            tx.remove(endpointRequests, k)
            tx.remove(endpointOptions, k)
          }
        })
        await targets.caughtUp(revision, [podDevices, storedEndpoints])
      })
      removals = batch
    }
    removals.keys.push(key)
    return removals.done
  }

  async function del(key: string): Promise<void> {
    if (!db.get(endpointRequests, key)) return
    await remove(key)
    log('info', 'endpoint deleted', { attachment: key })
  }

  function check(key: string, config: CniRequest['config']): void {
    const endpoint = db.get(endpoints, key)
    if (!endpoint) throw new CniError(7, 'there is no such endpoint', key)
    const missing = whatIsMissing(endpoint, db.get(endpointStatus, key))
    if (missing !== '') throw new CniError(TRY_AGAIN, `the endpoint is not ready: ${missing}`)
    const wanted = list(object(config['prevResult'])['ips']).map((ip) =>
      text(object(ip)['address']).replace(/\/.*/, ''),
    )
    for (const address of wanted)
      if (address !== endpoint.ipv4 && address !== endpoint.ipv6)
        throw new CniError(7, `the endpoint does not have the address ${address}`, `${endpoint.ipv4} ${endpoint.ipv6}`)
  }

  async function collect(config: CniRequest['config']): Promise<void> {
    if (!Array.isArray(config['cni.dev/valid-attachments']))
      throw new CniError(7, 'the configuration has no cni.dev/valid-attachments')
    const valid = new Set(
      config['cni.dev/valid-attachments'].map((a) => `${text(object(a)['containerID'])}:${text(object(a)['ifname'])}`),
    )
    const stale = db
      .all(endpointRequests)
      .map(attachment)
      .filter((key) => !valid.has(key))
    await Promise.all(stale.map(del))
  }

  async function answer(request: CniRequest, version: string): Promise<object | undefined> {
    const key = attachment({ containerId: request.containerID, ifname: request.ifname })
    switch (request.command) {
      case 'ADD':
        return add(endpointRequestOf(request), version)
      case 'DEL':
        return void (await del(key))
      case 'CHECK':
        return void check(key, request.config)
      case 'GC':
        return void (await collect(request.config))
      case 'STATUS': {
        const reason = options.notReady()
        if (reason !== '') throw new CniError(NOT_AVAILABLE, 'pods can not be started here at present', reason)
        return undefined
      }
      default:
        throw new CniError(4, `no such command: ${request.command}`)
    }
  }

  return {
    async handle(body) {
      const request = requestOf(body)
      const version = text(request.config['cniVersion']) || '1.1.0'
      try {
        return await answer(request, version)
      } catch (e) {
        const error = e instanceof CniError ? e : new CniError(TRY_AGAIN, e instanceof Error ? e.message : String(e))
        log('warning', `${request.command} failed: ${error.message}`, {
          container: request.containerID,
          details: error.details,
        })
        return {
          cniVersion: version,
          code: error.code,
          msg: error.message,
          ...(error.details ? { details: error.details } : {}),
        }
      }
    },
  }
}
