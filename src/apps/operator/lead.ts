// SPDX-License-Identifier: Apache-2.0
import type { Kube } from '../../edge/kube/client.ts'
import { pause } from '../../edge/kube/reflector.ts'
import { type KubeObject, LEASES } from '../../edge/kube/resource.ts'
import { isAlreadyExists, isConflict, isNotFound } from '../../edge/kube/status.ts'

export interface LeaseOptions {
  readonly namespace: string
  readonly name: string
  readonly holder: string
  readonly durationSeconds: number
  readonly retrySeconds: number
  readonly now?: () => Date
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly renewTime?: string
    readonly acquireTime?: string
    readonly leaseTransitions?: number
  }
}

/**
 * Waits until this process holds the lease, runs `lead` while it does, and returns when it holds it no longer (the
 * signal given to `lead` is aborted then). An expired lease is taken; expiry is judged by this machine's clock since
 * the renewal was first seen, so that clocks need not agree.
 */
export async function holdLease(
  kube: Kube,
  options: LeaseOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => void,
): Promise<void> {
  const now = options.now ?? (() => new Date())
  let seen = { renewTime: '', at: 0 }
  let leading: AbortController | undefined
  let renewed = 0
  /** Attempts since then that had no answer. */
  let failed = 0
  /** As we wrote it last: it is renewed without being read first, until somebody else has changed it. */
  let held: Lease | undefined
  while (!signal.aborted) {
    try {
      if (await renew()) {
        renewed = now().getTime()
        failed = 0
        if (!leading) {
          leading = new AbortController()
          lead(leading.signal)
        }
      } else if (leading) break
    } catch {
      // The server is away; what we hold runs out by itself.
      failed += 1
    }
    if (leading && now().getTime() - renewed > options.durationSeconds * 1000 * (2 / 3)) {
      if (failed > 1) break
      // Who got no time to renew finds the connection closed that it had kept: once more, and at once, by a new one.
      continue
    }
    await pause(options.retrySeconds * 1000, signal)
  }
  leading?.abort()
  if (signal.aborted && leading) await release()

  async function renew(): Promise<boolean> {
    const time = now().toISOString().replace('Z', '000Z')
    const spec = {
      holderIdentity: options.holder,
      leaseDurationSeconds: Math.ceil(options.durationSeconds),
      renewTime: time,
    }
    const { name, namespace } = options
    if (leading && held && (await write({ ...held, spec: { ...held.spec, ...spec } }))) return true
    let lease: Lease
    try {
      lease = await kube.get<Lease>(LEASES, namespace, name)
    } catch (e) {
      if (!isNotFound(e)) throw e
      const fresh = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } }
      return change(() =>
        kube.create(LEASES, namespace, { ...fresh, spec: { ...spec, acquireTime: time, leaseTransitions: 0 } }),
      )
    }
    const mine = lease.spec?.holderIdentity === options.holder
    const renewTime = lease.spec?.renewTime ?? ''
    if (renewTime !== seen.renewTime) seen = { renewTime, at: now().getTime() }
    const lifeMs = (lease.spec?.leaseDurationSeconds ?? options.durationSeconds) * 1000
    const free = !lease.spec?.holderIdentity || now().getTime() - seen.at > lifeMs
    if (!mine && !free) return false
    const transitions = (lease.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1)
    const acquireTime = mine ? (lease.spec?.acquireTime ?? time) : time
    return write({ ...lease, spec: { ...spec, acquireTime, leaseTransitions: transitions } })
  }

  async function write(lease: Lease): Promise<boolean> {
    held = undefined
    return change(async () => {
      held = await kube.update<Lease>(LEASES, lease)
    })
  }

  async function release(): Promise<void> {
    try {
      const lease = await kube.get<Lease>(LEASES, options.namespace, options.name)
      if (lease.spec?.holderIdentity === options.holder)
        await kube.update(LEASES, { ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } })
    } catch {
      // It expires.
    }
  }
}

async function change(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (e) {
    if (isConflict(e) || isAlreadyExists(e)) return false
    throw e
  }
}
