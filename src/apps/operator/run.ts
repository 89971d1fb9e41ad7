// SPDX-License-Identifier: Apache-2.0

import type { Kube } from '../../edge/kube/client.ts'
import { reflect } from '../../edge/kube/reflector.ts'
import { CILIUM_NODES, type KubeObject, NODES, PODS, policyResources, type Resource } from '../../edge/kube/resource.ts'
import { systemClock } from '../../edge/runtime/clock.ts'
import { reconciliation } from '../../edge/runtime/reconcile.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import * as rows from '../../model/rows.ts'
import { defaultSettings } from '../../model/settings.ts'
import type { Database } from '../../table/database.ts'
import type { Table } from '../../table/definition.ts'
import { openDatabase } from '../../table/open.ts'
import { collectEndpoints, collectNodes, identityCollector } from './collect.ts'
import { readCrds, registerCrds } from './crds.ts'
import { judge, judgedPolicies, policyDeeds, policyKinds, policyTarget } from './policies.ts'
import { followSecrets, secretCopies, secretSources, secretTables, secretTarget } from './secrets.ts'
import type { OperatorSettings } from './settings.ts'
import { type AgentPod, agents, type Claim, claims, derivedTables, type NodeState, nodes } from './tables.ts'
import { cidrTarget, nodeTarget } from './targets.ts'

export type Log = (message: string, fields?: object) => void

/** Everything the leader does, until the scope is closed. */
export function runLeader(kube: Kube, settings: OperatorSettings, scope: HealthScope, log: Log): Database {
  const { cidrGrants, nodeRepairs } = derivedTables(settings)
  const ofPolicies = [...Object.values(judgedPolicies), ...Object.values(policyDeeds)]
  const ofSecrets = secretTables(settings.secretsNamespace)
  const db = openDatabase([
    ...[rows.settings, claims, nodes, agents, cidrGrants, nodeRepairs, ...ofPolicies],
    ...[secretSources, secretCopies, ...ofSecrets.refs, ofSecrets.wantedSecrets, ofSecrets.secretDeeds],
  ])

  db.commit((tx) => {
    tx.put(rows.settings, { ...defaultSettings, ...settings.policy })
    tx.initialised(rows.settings)
  })

  const watch = <Row>(
    name: string,
    resource: Resource,
    into: Table<Row>,
    parse: (o: KubeObject) => Row | undefined,
    labelSelector?: string,
  ) =>
    scope.loop(`watch ${name}`, () =>
      reflect(
        kube,
        { resource, ...(labelSelector ? { labelSelector, namespace: settings.namespace } : {}) },
        {
          replaced: (objects) =>
            void db.commit((tx) => {
              tx.replace(
                into,
                objects.map(parse).filter((row) => row !== undefined),
              )
              tx.initialised(into)
            }),
          changed: (events) =>
            void db.commit((tx) => {
              for (const { type, object } of events) {
                const row = parse(object)
                if (row === undefined) continue
                if (type === 'put') tx.put(into, row)
                else tx.remove(into, into.key(row))
              }
            }),
          health: (e) => e && log(`watch ${name}: ${e.message}`),
        },
        scope.signal,
      ),
    )

  scope.loop('crds', async () => {
    if (settings.createCrds) for (const text of await registerCrds(kube, readCrds(settings.crdsDir))) log(text)
    watch('nodes', NODES, nodes, nodeState)
    watch('ciliumnodes', CILIUM_NODES, claims, claim)
    watch('agents', PODS, agents, agentPod, settings.agentLabels)
    if (settings.secretsNamespace !== '')
      followSecrets(kube, db, ofSecrets.wantedSecrets, settings.secretsNamespace, scope, log)
    for (const kind of policyKinds) watch(kind, policyResources[kind], judgedPolicies[kind], (o) => judge(kind, o))
  })

  const now = () => new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const targets = reconciliation(db, scope, systemClock)
  targets.add(cidrGrants, cidrTarget(kube), { waitInitialised: true })
  targets.add(nodeRepairs, nodeTarget(kube, settings.taintKey, now))
  for (const kind of policyKinds) targets.add(policyDeeds[kind], policyTarget(kube, now))
  if (settings.secretsNamespace !== '')
    targets.add(ofSecrets.secretDeeds, secretTarget(kube, settings.secretsNamespace), { waitInitialised: true })
  targets.start()

  const every = (name: string, seconds: number, collect: () => Promise<number>) => {
    if (seconds <= 0) return
    scope.every(name, seconds * 1000, async () => {
      const deleted = await collect()
      if (deleted > 0) log(`${name}: ${deleted} deleted`)
    })
  }
  const collectIdentities = identityCollector(kube, settings.identityTimeout * 1000)
  every('identity-gc', settings.identityGcInterval, () => collectIdentities(Date.now()))
  every('endpoint-gc', settings.endpointGcInterval, () => collectEndpoints(kube))
  every('node-gc', settings.nodeGcInterval, () => collectNodes(kube))
  return db
}

interface Spec {
  readonly [field: string]: unknown
}
const specOf = (o: KubeObject): Spec => (o['spec'] ?? {}) as Spec
const statusOf = (o: KubeObject): Spec => (o['status'] ?? {}) as Spec

const claim = (o: KubeObject): Claim => ({
  name: o.metadata.name,
  podCIDRs: ((specOf(o)['ipam'] as Spec | undefined)?.['podCIDRs'] ?? []) as string[],
  created: o.metadata.creationTimestamp ?? '',
})

interface Condition {
  readonly type?: string
  readonly status?: string
  readonly reason?: string
}

const nodeState = (o: KubeObject): NodeState => ({
  name: o.metadata.name,
  taints: (specOf(o)['taints'] ?? []) as { key?: string }[],
  up: ((statusOf(o)['conditions'] ?? []) as Condition[]).some(
    (c) => c.type === 'NetworkUnavailable' && c.status === 'False' && c.reason === 'CiliumIsUp',
  ),
})

const agentPod = (o: KubeObject): AgentPod => ({
  name: o.metadata.name,
  node: String(specOf(o)['nodeName'] ?? ''),
  ready:
    !o.metadata.deletionTimestamp &&
    ((statusOf(o)['conditions'] ?? []) as Condition[]).some((c) => c.type === 'Ready' && c.status === 'True'),
})
