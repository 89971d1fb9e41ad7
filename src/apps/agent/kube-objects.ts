// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises'
import type { IdentityClaim } from '../../derive/identity/tables.ts'
import { gatewayOf, pools } from '../../derive/ipam/tables.ts'
import { type CiliumEndpointObject, ciliumEndpointObjects } from '../../derive/status/tables.ts'
import type { Kube } from '../../edge/kube/client.ts'
import {
  apiVersionOf,
  CILIUM_ENDPOINTS,
  CILIUM_IDENTITIES,
  CILIUM_NODES,
  type KubeObject,
} from '../../edge/kube/resource.ts'
import { isAlreadyExists, isNotFound } from '../../edge/kube/status.ts'
import { parseCiliumIdentity } from '../../model/identity.ts'
import { parseLabel, podNamespaceKey, securityMapOfLabels } from '../../model/labels.ts'
import type { NodeAddress } from '../../model/node.ts'
import { ciliumEndpoints, ciliumIdentities, ciliumNodes, nodes, settings } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { type AnyTable, deriveAll } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { nodeFacts } from './node-facts.ts'

const done: Outcome = { ok: true }
const outcome = (work: Promise<unknown>): Promise<Outcome> =>
  work.then(
    () => done,
    (e: unknown) => ({ ok: false, error: e instanceof Error ? e.message : String(e) }),
  )
const each = <Row>(rows: readonly Row[], act: (row: Row) => Promise<unknown>): Promise<readonly Outcome[]> =>
  Promise.all(rows.map((row) => outcome(act(row))))

/** Resolves once the table has all it is derived from. */
export function initialised(db: Database, table: AnyTable): Promise<void> {
  return new Promise((resolve) => {
    if (db.isInitialised(table)) return resolve()
    const stop = db.listen(() => {
      if (!db.isInitialised(table)) return
      stop()
      resolve()
    })
  })
}

/**
 * Claims of identity numbers: creates the object. What the server says is put into the table at once, so that a pod
 * need not wait for the watch; a number that somebody else took for other labels shows up there too, and the claim
 * moves on to the next.
 */
export function identityTarget(kube: Kube, db: Database): Target<IdentityClaim> {
  const learn = (object: unknown) => {
    const parsed = parseCiliumIdentity(object)
    if (parsed.ok) db.commit((tx) => tx.put(ciliumIdentities, parsed.value))
  }
  return {
    name: 'CiliumIdentity',
    key: (c) => String(c.number),
    load: () => [],
    equal: () => false,
    write: (rows) =>
      each(rows, async ({ number, labels }) => {
        const name = String(number)
        const namespace = labels.map(parseLabel).find((l) => l.key === podNamespaceKey)?.value
        const object = {
          apiVersion: apiVersionOf(CILIUM_IDENTITIES),
          kind: CILIUM_IDENTITIES.kind,
          metadata: { name, labels: namespace ? { [podNamespaceKey]: namespace } : {} },
          'security-labels': securityMapOfLabels(labels),
        }
        try {
          learn(await kube.create(CILIUM_IDENTITIES, undefined, object))
        } catch (e) {
          if (!isAlreadyExists(e)) throw e
          learn(await kube.get(CILIUM_IDENTITIES, undefined, name))
        }
      }),
    // A claim that is settled or no longer wanted leaves the object to the operator.
    remove: (rows) => rows.map(() => done),
  }
}

/** Changes that follow each other within this time are written as one. */
const SETTLE_MS = 10

/** Later than this a watch does not tell of an object. */
const WATCH_LAG_MS = 10_000

/** CiliumEndpoints of this node's pods. Objects of pods that are gone are deleted, at start too. */
export function ciliumEndpointTarget(kube: Kube, db: Database): Target<CiliumEndpointObject> {
  const written = new Map<string, { readonly text: string; readonly at: number }>()
  const keyOf = ciliumEndpointObjects.key
  const there = (row: CiliumEndpointObject) => db.get(ciliumEndpoints, `${row.namespace}/${row.name}`)

  async function write(row: CiliumEndpointObject): Promise<void> {
    await sleep(SETTLE_MS)
    const latest = db.get(ciliumEndpointObjects, keyOf(row)) ?? row
    const text = JSON.stringify(latest.status)
    if (written.get(keyOf(row))?.text === text) return
    const metadata = {
      name: row.name,
      namespace: row.namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: row.name, uid: row.podUid, blockOwnerDeletion: true }],
    }
    const create = () =>
      kube.create(CILIUM_ENDPOINTS, row.namespace, {
        apiVersion: apiVersionOf(CILIUM_ENDPOINTS),
        kind: CILIUM_ENDPOINTS.kind,
        metadata,
        status: latest.status,
      })
    // A merge keeps what it does not name, so what may vanish is named.
    const patch = () =>
      kube.patch(CILIUM_ENDPOINTS, row.namespace, row.name, {
        metadata: { ownerReferences: metadata.ownerReferences },
        status: { 'named-ports': null, ...latest.status },
      })
    if (there(row) || written.has(keyOf(row)))
      await patch().catch((e) => (isNotFound(e) ? create() : Promise.reject(e)))
    else await create().catch((e) => (isAlreadyExists(e) ? patch() : Promise.reject(e)))
    written.set(keyOf(row), { text, at: performance.now() })
  }

  return {
    name: 'CiliumEndpoint',
    key: keyOf,
    async load() {
      await initialised(db, ciliumEndpointObjects)
      await initialised(db, ciliumEndpoints)
      const wanted = db.all(ciliumEndpointObjects)
      const same = wanted.filter((row) => {
        const object = there(row)
        const status = row.status as { identity?: { id?: number }; networking?: { node?: string } }
        return (
          object?.identity === status.identity?.id &&
          object?.node === status.networking?.node &&
          object?.state === 'ready'
        )
      })
      const config = db.get(settings, 'settings')
      const own = (config && db.get(nodes, config.nodeName)?.addresses) ?? []
      const strays = own
        .flatMap((a) => db.by(ciliumEndpoints, 'node', a.address))
        .filter((e) => db.by(ciliumEndpointObjects, 'pod', `${e.namespace}/${e.name}`).length === 0)
        .map((e) => ({ namespace: e.namespace, name: e.name, podUid: '', status: {} }))
      return [...same, ...strays]
    },
    equal: (a, b) => JSON.stringify(a.status) === JSON.stringify(b.status),
    write: (rows) => each(rows, write),
    remove: (rows) =>
      each(rows, async (row) => {
        const at = written.get(keyOf(row))?.at ?? Number.NEGATIVE_INFINITY
        written.delete(keyOf(row))
        // The pod of the same name that follows has the object now.
        if (db.by(ciliumEndpointObjects, 'pod', `${row.namespace}/${row.name}`).length > 0) return
        // Kubernetes has collected it with its pod already, unless the watch did not yet tell of it.
        if (!there(row) && performance.now() - at > WATCH_LAG_MS) return
        await kube
          .delete(CILIUM_ENDPOINTS, row.namespace, row.name)
          .catch((e) => (isNotFound(e) ? undefined : Promise.reject(e)))
      }),
  }
}

/** What is still to be written into this node's CiliumNode; no row when the object says it all. */
export interface NodeDeed {
  readonly name: string
  readonly ownerUid: string
  readonly exists: boolean
  readonly addresses: readonly NodeAddress[]
  /** Only in the mode where the Node says it; otherwise the operator gives them. */
  readonly podCIDRs: readonly string[] | undefined
}

export const nodeDeeds = deriveAll<NodeDeed>(
  'nodeDeeds',
  [settings, nodes, ciliumNodes, pools, nodeFacts],
  { key: (d) => d.name },
  (read) => {
    const config = read.get(settings, 'settings')
    const node = config && read.get(nodes, config.nodeName)
    if (!node) return []
    const there = read.get(ciliumNodes, node.name)
    const gateways = ([4, 6] as const).map((family) => gatewayOf(read, node.name, family)).filter((a) => a !== '')
    const addresses = [
      ...node.addresses.filter((a) => a.type === 'InternalIP' || a.type === 'ExternalIP'),
      ...gateways.map((address) => ({ type: 'CiliumInternalIP', address })),
    ]
    // An object somebody deleted comes back with the prefixes whose addresses are in use here.
    const remembered = there ? undefined : read.get(nodeFacts, 'node')?.podCIDRs
    const podCIDRs = config.ipam === 'kubernetes' ? node.podCIDRs : remembered
    const text = (list: readonly NodeAddress[]) => list.map((a) => `${a.type} ${a.address}`).join()
    const same =
      there &&
      text(there.addresses) === text(addresses) &&
      (podCIDRs === undefined || podCIDRs.join() === there.podCIDRs.join())
    return same ? [] : [{ name: node.name, ownerUid: node.uid, exists: there !== undefined, addresses, podCIDRs }]
  },
)

export function ciliumNodeTarget(kube: Kube): Target<NodeDeed> {
  const spec = (d: NodeDeed): object => ({
    addresses: d.addresses.map((a) => ({ type: a.type, ip: a.address })),
    ...(d.podCIDRs ? { ipam: { podCIDRs: d.podCIDRs } } : {}),
  })
  const create = (d: NodeDeed): Promise<KubeObject> =>
    kube.create(CILIUM_NODES, undefined, {
      apiVersion: apiVersionOf(CILIUM_NODES),
      kind: CILIUM_NODES.kind,
      metadata: { name: d.name, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: d.name, uid: d.ownerUid }] },
      spec: { ipam: {}, ...spec(d) },
    })
  const patch = (d: NodeDeed): Promise<KubeObject> => kube.patch(CILIUM_NODES, undefined, d.name, { spec: spec(d) })
  return {
    name: 'CiliumNode',
    key: (d) => d.name,
    load: () => [],
    equal: () => false,
    write: (rows) =>
      each(rows, (d) =>
        d.exists
          ? patch(d).catch((e) => (isNotFound(e) ? create(d) : Promise.reject(e)))
          : create(d).catch((e) => (isAlreadyExists(e) ? patch(d) : Promise.reject(e))),
      ),
    remove: (rows) => rows.map(() => done),
  }
}
