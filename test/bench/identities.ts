// SPDX-License-Identifier: Apache-2.0
/**
 * Run by itself, with the agent's limits of memory: a node hears of 65,280 identities, one in ten of which a rule
 * names. Prints {memory (MB above before), owners, ipcache (entries/s)}.
 */
import { readFileSync } from 'node:fs'
import { ownerRows } from '../../src/derive/addresses/tables.ts'
import { policyClassRows } from '../../src/derive/policy/decisions.ts'
import { classesTarget } from '../../src/edge/kernel/classes.ts'
import { ipcacheTarget, ownersTarget } from '../../src/edge/kernel/contract.ts'
import type { OwnerRow } from '../../src/model/datapath.ts'
import { clusterIdentities, parseCiliumIdentity } from '../../src/model/identity.ts'
import { ciliumIdentities } from '../../src/model/rows.ts'
import { table } from '../../src/table/definition.ts'
import { median } from './figure.ts'
import { withLookup } from './lookup.ts'
import { cluster } from './policy.ts'

/** As many as a cluster has numbers for. */
const IDENTITIES = clusterIdentities.last - clusterIdentities.first + 1
const READ = 480
/** MB of this process alone: pages of Node's own file come and go with what of it has just run. */
const collect = (): number => {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
}

withLookup((object) => {
  const db = cluster({ policies: 1, identities: 1, remotePods: 0, endpoints: 1, namespaces: 5 })
  const owners = ownersTarget(ownerRows, object.map('cilium_owners'))
  const classes = classesTarget(policyClassRows, object.map)
  const before = collect()
  // As they come from the API server: some hundred in one read of the watch.
  for (let first = 0; first < IDENTITIES; first += READ)
    db.commit((tx) => {
      for (let i = first; i < first + READ; i++) {
        const name = String(clusterIdentities.first + i)
        const labels = {
          'k8s:app': `many${i}`,
          'k8s:io.cilium.k8s.policy.cluster': 'default',
          'k8s:io.cilium.k8s.policy.serviceaccount': 'default',
          'k8s:io.kubernetes.pod.namespace': `ns${i % 5}`,
          'k8s:tier': `t${i % 10}`,
        }
        const metadata = { name, uid: `${name}-4b1d-11f0`, resourceVersion: name }
        const read = parseCiliumIdentity(JSON.parse(JSON.stringify({ metadata, 'security-labels': labels })))
        if (!read.ok) throw new Error(`an identity can not be read: ${JSON.stringify(read.error)}`)
        tx.put(ciliumIdentities, read.value)
      }
    })
  classes.write(db.all(policyClassRows))
  const memory = collect() - before

  const all = Array.from({ length: IDENTITIES }, (_, i): OwnerRow => {
    const address = `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
    const there = { interface: 0, policy: 0, endpoint: 0, flags: 0, node: '192.168.0.2' }
    return { address, identity: clusterIdentities.first + i, peer: 0, ...there }
  })
  const prefixes = all.map((row) => ({ ...row, address: `${row.address}/32` }))
  const ipcache = ipcacheTarget(table<OwnerRow>('prefixes', { key: (r) => r.address }), object.map('cilium_ipcache'))
  const rate = (target: typeof ipcache, rows: readonly OwnerRow[]): number =>
    median(
      Array.from({ length: 7 }, () => {
        const start = performance.now()
        const outcomes = target.write(rows) as readonly { readonly ok: boolean }[]
        if (!outcomes.every((o) => o.ok)) throw new Error('an entry was refused')
        return (rows.length / (performance.now() - start)) * 1000
      }),
    )
  console.log(JSON.stringify({ memory, owners: rate(owners, all), ipcache: rate(ipcache, prefixes) }))
})
