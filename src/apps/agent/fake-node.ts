// SPDX-License-Identifier: Apache-2.0
// An agent's tables with hands of air: for tests of this app only.
import { ipcacheRows, ownerRows } from '../../derive/addresses/tables.ts'
import { identityClaims } from '../../derive/identity/tables.ts'
import { interfaceRows } from '../../derive/interfaces/tables.ts'
import { policyClassRows, policyPageRows, policyRows, policyTableRows } from '../../derive/policy/decisions.ts'
import { cellRows } from '../../derive/proxy/tables.ts'
import { systemClock } from '../../edge/runtime/clock.ts'
import { reconciliation } from '../../edge/runtime/reconcile.ts'
import { openScope } from '../../edge/runtime/scope.ts'
import { fakeDevice } from '../../model/fake-device.ts'
import { labelSet } from '../../model/labels.ts'
import type { Pod } from '../../model/pod.ts'
import * as rows from '../../model/rows.ts'
import { defaultSettings } from '../../model/settings.ts'
import type { Table } from '../../table/definition.ts'
import { openDatabase } from '../../table/open.ts'
import type { Target } from '../../table/target.ts'
import { trackedPolicies } from './kernel-policies.ts'
import { nodeDeeds } from './kube-objects.ts'
import { podDevices } from './pod-devices.ts'
import { storedEndpoints } from './stored.ts'
import { tables } from './wire.ts'

export const NODE = 'node-1'

/** A target that remembers what it was told; `refuse` makes it fail. */
export function memory<Row>(table: Table<Row>, told: (row: Row, gone: boolean) => void = () => {}) {
  const there = new Map<string, Row>()
  const state = { refuse: '' }
  const target: Target<Row> = {
    name: table.name,
    key: table.key,
    load: () => [...there.values()],
    equal: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    write: (all) =>
      all.map((row) => {
        if (state.refuse !== '') return { ok: false, error: state.refuse }
        there.set(table.key(row), row)
        told(row, false)
        return { ok: true }
      }),
    remove: (all) =>
      all.map((row) => {
        there.delete(table.key(row))
        told(row, true)
        return { ok: true }
      }),
  }
  return { there, state, target }
}

type Labels = { readonly [key: string]: string }

export const podRow = (name: string, labels: Labels = {}, uid = `uid-${name}`): Pod => ({
  namespace: 'default',
  name,
  uid,
  resourceVersion: '1',
  generation: 1,
  labels,
  annotations: {},
  deleting: false,
  nodeName: NODE,
  hostNetwork: false,
  serviceAccount: 'default',
  phase: 'Pending',
  podIPs: [],
  hostIP: '',
  namedPorts: [],
})

export function fakeNode() {
  const db = openDatabase(tables)
  const scope = openScope('test')
  const targets = reconciliation(db, scope, systemClock, { random: () => 0 })
  let index = 10
  const indexes = new Map<string, number>()
  const podTargets = memory(podDevices, (d, gone) => {
    if (gone) {
      const at = indexes.get(d.link)
      indexes.delete(d.link)
      if (at !== undefined) db.commit((tx) => tx.remove(rows.devices, String(at)))
      return
    }
    const at = indexes.get(d.link) ?? ++index
    indexes.set(d.link, at)
    queueMicrotask(() => db.commit((tx) => tx.put(rows.devices, { ...fakeDevice(at, d.link), mtu: d.mtu })))
  })
  const owners = memory(ownerRows)
  const interfaces = memory(interfaceRows)
  const ipcache = memory(ipcacheRows)
  const policies = memory(policyRows)
  const stored = memory(storedEndpoints)
  const storedRules = memory(rows.importedRules)
  const storedOptions = memory(rows.endpointOptions)
  const claims = memory(identityClaims, (c, gone) => {
    if (gone) return
    const name = String(c.number)
    queueMicrotask(() =>
      db.commit((tx) =>
        tx.put(rows.ciliumIdentities, {
          name,
          number: c.number,
          labels: labelSet(c.labels),
        }),
      ),
    )
  })
  for (const table of [cellRows, policyPageRows, policyClassRows, policyTableRows] as const)
    targets.add(table as Table<unknown>, memory(table as Table<unknown>).target, { waitInitialised: true })
  targets.add(policyRows, trackedPolicies(policies.target, db, scope), {
    after: [policyTableRows],
    waitInitialised: true,
  })
  const ofPolicy = { table: policyRows, needs: (r: { readonly policy: number }) => [String(r.policy)] }
  targets.add(ipcacheRows, ipcache.target, { after: [policyClassRows, policyRows], waitInitialised: true })
  targets.add(ownerRows, owners.target, { after: [policyClassRows, ofPolicy], waitInitialised: true })
  targets.add(interfaceRows, interfaces.target, { after: [policyClassRows, ofPolicy], waitInitialised: true })
  targets.add(podDevices, podTargets.target)
  targets.add(storedEndpoints, stored.target)
  targets.add(rows.importedRules, storedRules.target)
  targets.add(rows.endpointOptions, storedOptions.target)
  targets.add(identityClaims, claims.target)

  const addresses = [{ type: 'InternalIP', address: '172.30.0.2' }]
  const podCIDRs = ['10.244.0.0/29', 'fd00:10:244::/64']
  db.commit((tx) => {
    tx.put(rows.settings, { ...defaultSettings, nodeName: NODE })
    tx.put(rows.namespaces, { name: 'default', uid: 'ns', labels: { 'kubernetes.io/metadata.name': 'default' } })
    tx.put(rows.nodes, { name: NODE, uid: 'n', labels: {}, annotations: {}, addresses, podCIDRs: [] })
    tx.put(rows.ciliumNodes, {
      name: NODE,
      uid: 'c',
      resourceVersion: '1',
      addresses,
      podCIDRs,
      healthAddresses: [],
      ingressAddresses: [],
      bootId: '',
    })
    tx.put(rows.devices, { ...fakeDevice(2, 'eth0'), addresses: ['172.30.0.2'], wire: true })
    tx.put(rows.devices, fakeDevice(3, 'cilium_net'))
    for (const table of db.tables) if (table.rule.kind === 'source') tx.initialised(table)
  })
  targets.start()
  const pod = (name: string, labels: Labels = { app: name }, uid = `uid-${name}`): void =>
    void db.commit((tx) => tx.put(rows.pods, podRow(name, labels, uid)))
  return {
    db,
    scope,
    targets,
    pod,
    owners,
    ipcache,
    interfaces,
    policies,
    stored,
    storedRules,
    storedOptions,
    pods: podTargets,
    nodeDeeds,
  }
}
