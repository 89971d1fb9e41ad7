// SPDX-License-Identifier: Apache-2.0
/** What the pure part of policy costs: from changed objects to the rows the kernel should hold, in one process. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { identityClaims } from '../../src/derive/identity/tables.ts'
import { identityLabels } from '../../src/derive/labels/tables.ts'
import { decisions, policyClassRows } from '../../src/derive/policy/decisions.ts'
import { tables } from '../../src/derive/tables.ts'
import type { Pod } from '../../src/model/pod.ts'
import type { PolicyObject } from '../../src/model/policy.ts'
import * as rows from '../../src/model/rows.ts'
import { defaultSettings } from '../../src/model/settings.ts'
import type { Database } from '../../src/table/database.ts'
import { openDatabase } from '../../src/table/open.ts'
import { absolute, median, type Section } from './figure.ts'
import { lookUps, memory, withLookup } from './lookup.ts'

/** The agent's own limits of memory, from its launcher. */
const agentFlags = readFileSync(join(import.meta.dirname, '../../bin/cilium-agent'), 'utf8').match(/--\S+(?= )/g) ?? []

/** As one file of JavaScript, like the agent: what is left of reading TypeScript would hide tens of MB. */
function bundled(name: string): string {
  const outfile = join(import.meta.dirname, `../../build/bench/${name}.js`)
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
  const entryPoints = [join(import.meta.dirname, `${name}.ts`)]
  buildSync({ entryPoints, outfile, banner, bundle: true, platform: 'node', format: 'esm', external: ['koffi'] })
  return outfile
}

interface Size {
  readonly policies: number
  readonly identities: number
  readonly remotePods: number
  readonly endpoints: number
  /** How many workloads the endpoints are of; each of its own where absent. */
  readonly labelSets?: number
  readonly namespaces: number
}

const meta = (namespace: string, name: string, labels: { readonly [key: string]: string } = {}) => ({
  namespace,
  name,
  uid: name,
  resourceVersion: '',
  generation: 1,
  labels,
  annotations: {},
  deleting: false,
})

const namespaceName = (i: number): string => `ns${i}`

function pod(i: number, size: Size, workload = i % size.identities): Pod {
  const namespace = namespaceName(workload % size.namespaces)
  return {
    ...meta(namespace, `pod-${i}`, { app: `app${workload}`, tier: `t${workload % 5}` }),
    nodeName: 'n1',
    hostNetwork: false,
    serviceAccount: 'default',
    phase: 'Running',
    podIPs: [],
    hostIP: '',
    namedPorts: [],
  }
}

/** Each policy speaks of one workload of its namespace: another workload, a tier, another namespace, two ports. */
function policy(i: number, size: Size, port = 80): PolicyObject {
  const workload = i % size.identities
  const namespace = namespaceName(workload % size.namespaces)
  const other = (workload + size.namespaces) % size.identities
  return {
    ...meta(namespace, `policy-${i}`),
    kind: 'CiliumNetworkPolicy',
    object: {
      spec: {
        endpointSelector: { matchLabels: { app: `app${workload}` } },
        ingress: [
          {
            fromEndpoints: [{ matchLabels: { app: `app${other}` } }, { matchLabels: { tier: `t${i % 5}` } }],
            toPorts: [{ ports: [{ port: String(port), protocol: 'TCP' }] }],
          },
          {
            fromEndpoints: [
              { matchLabels: { 'k8s:io.kubernetes.pod.namespace': namespaceName((i + 1) % size.namespaces) } },
            ],
            toPorts: [{ ports: [{ port: '9090', endPort: 9100, protocol: 'TCP' }] }],
          },
        ],
        egress: [{ toEntities: ['cluster'] }, { toEndpoints: [{ matchLabels: { app: `app${other}` } }] }],
      },
    },
  }
}

function fill(db: Database, size: Size): void {
  const config = { ...defaultSettings, nodeName: 'n1' }
  db.commit((tx) => {
    for (const s of rows.sources) tx.initialised(s)
    tx.put(rows.settings, config)
    tx.put(rows.ciliumNodes, {
      name: 'n1',
      uid: '',
      resourceVersion: '',
      addresses: [],
      podCIDRs: ['10.0.0.0/16', 'fd00::/112'],
      healthAddresses: [],
      ingressAddresses: [],
      bootId: '',
    })
    for (let i = 0; i < size.namespaces; i++)
      tx.put(rows.namespaces, {
        name: namespaceName(i),
        uid: '',
        labels: { 'kubernetes.io/metadata.name': namespaceName(i) },
      })
    for (let i = 0; i < size.endpoints; i++) {
      const p = pod(i, size, i % (size.labelSets ?? size.identities))
      tx.put(rows.pods, p)
      tx.put(rows.endpointRequests, {
        containerId: `c${i}`,
        ifname: 'eth0',
        netns: '',
        namespace: p.namespace,
        podName: p.name,
        podUid: p.uid,
      })
    }
    const namespaces = new Map<string, { name: string; labels: { [key: string]: string } }>()
    for (let i = 0; i < size.identities; i++) {
      const p = pod(i, size)
      const name = p.namespace
      if (!namespaces.has(name)) namespaces.set(name, { name, labels: { 'kubernetes.io/metadata.name': name } })
      const number = 256 + i
      tx.put(rows.ciliumIdentities, {
        name: String(number),
        number,
        labels: identityLabels(p, namespaces.get(name) as { name: string; labels: { [key: string]: string } }, config),
      })
    }
    for (let i = 0; i < size.remotePods; i++) tx.put(rows.ciliumEndpoints, remote(i, size))
  })
  if (db.count(identityClaims) > 0) throw new Error('endpoints without an identity would not be measured')
}

const remote = (i: number, size: Size, identity = 256 + (i % size.identities)) => ({
  namespace: 'ns0',
  name: `remote-${i}`,
  uid: '',
  resourceVersion: '',
  identity,
  addresses: [`10.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`],
  node: '192.168.0.2',
  state: 'ready',
  namedPorts: [],
})

function timed(work: () => void): number {
  const start = performance.now()
  work()
  return performance.now() - start
}

const repeated = (times: number, work: (i: number) => void): number =>
  median(Array.from({ length: times }, (_, i) => timed(() => work(i))))

const addPolicies = (db: Database, size: Size): number =>
  db.commit((tx) => {
    for (let i = 0; i < size.policies; i++) tx.put(rows.ciliumNetworkPolicies, policy(i, size))
  })

/** A node of a cluster of that size, with everything derived. */
export function cluster(size: Size): Database {
  const db = openDatabase(tables)
  fill(db, size)
  addPolicies(db, size)
  return db
}

/** Medians in milliseconds. */
export function measure(size: Size) {
  const db = openDatabase(tables)
  fill(db, size)
  const first = timed(() => addPolicies(db, size))
  // Warm: the same change twice as often as it is measured.
  const change = (i: number) =>
    db.commit((tx) => tx.put(rows.ciliumNetworkPolicies, policy(i % size.endpoints, size, 1000 + i)))
  for (let i = 0; i < 30; i++) change(i + 500)
  const onePolicy = repeated(30, change)
  const elsewhere = repeated(30, (i) =>
    db.commit((tx) => tx.put(rows.ciliumNetworkPolicies, policy(size.endpoints + i, size, 2000 + i))),
  )
  const onePod = repeated(30, (i) => db.commit((tx) => tx.put(rows.ciliumEndpoints, remote(size.remotePods + i, size))))
  const oneIdentity = repeated(30, (i) => {
    const number = 20000 + i
    const p = pod(0, size)
    const labels = identityLabels(
      { ...p, labels: { app: `new${i}`, tier: 't1' } },
      { name: 'ns1', labels: { 'kubernetes.io/metadata.name': 'ns1' } },
      { clusterName: 'default', labels: [] },
    )
    db.commit((tx) => tx.put(rows.ciliumIdentities, { name: String(number), number, labels }))
  })
  return {
    first,
    onePolicy,
    elsewhere,
    onePod,
    oneIdentity,
    tables: db.count(decisions),
    classes: db.all(policyClassRows).reduce((sum, row) => sum + row.classes.size, 0),
  }
}

export const policySection: Section = {
  name: 'policy',
  run: async (report) => {
    const node = measure({ policies: 1000, identities: 1000, remotePods: 1000, endpoints: 110, namespaces: 20 })
    report(absolute('derivation: 1,000 policies, 1,000 identities, 110 endpoints, first', node.first, 'ms', 1000))
    report(absolute('derivation: one policy of this node changed', node.onePolicy, 'ms', 5))
    report(absolute('derivation: one policy of other nodes changed', node.elsewhere, 'ms', 5))
    report(absolute('derivation: one pod added elsewhere', node.onePod, 'ms', 1))
    report(absolute('derivation: one identity added', node.oneIdentity, 'ms', 5))
    const large = measure({ policies: 5000, identities: 2000, remotePods: 10000, endpoints: 110, namespaces: 100 })
    report(absolute('derivation: 5,000 policies, 10,000 pods, first', large.first, 'ms', 2000))
    report(absolute('derivation: 5,000 policies, 10,000 pods, one policy changed', large.onePolicy, 'ms', 5))
    report(absolute('derivation: 5,000 policies, 10,000 pods, one pod added', large.onePod, 'ms', 1))
    withLookup((object) => lookUps(object, report))
    await memory(report)
    const known = JSON.parse(
      execFileSync(process.execPath, ['--expose-gc', ...agentFlags, bundled('identities')], { encoding: 'utf8' }),
    ) as { readonly memory: number; readonly owners: number; readonly ipcache: number }
    report(absolute('65,280 identities known to a node: memory above empty', known.memory, 'MB', 60))
    report(absolute('exact addresses written into the kernel, as rows of the target', known.owners, 'entries/s'))
    report(
      absolute('ipcache written into the kernel, as rows of the target', known.ipcache, 'entries/s', 300_000, true),
    )
  },
}
