// SPDX-License-Identifier: Apache-2.0
import type { Result } from '../../base/result.ts'
import { problemText } from '../../base/result.ts'
import type { Kube } from '../../edge/kube/client.ts'
import { reflect } from '../../edge/kube/reflector.ts'
import {
  CILIUM_CIDR_GROUPS,
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_ENDPOINTS,
  CILIUM_IDENTITIES,
  CILIUM_NETWORK_POLICIES,
  CILIUM_NODES,
  CLUSTER_NETWORK_POLICIES,
  ENDPOINT_SLICES,
  type KubeObject,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  type Resource,
  SECRETS,
  SERVICES,
} from '../../edge/kube/resource.ts'
import { isForbidden, isNotFound } from '../../edge/kube/status.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import { parseCiliumEndpoint } from '../../model/endpoint.ts'
import { parseCiliumIdentity } from '../../model/identity.ts'
import { parseCiliumNode, parseNode } from '../../model/node.ts'
import { type Pod, parseNamespace, parsePod } from '../../model/pod.ts'
import { parseCidrGroup, parsePolicyObject } from '../../model/policy.ts'
import * as rows from '../../model/rows.ts'
import { parseSecret } from '../../model/secret.ts'
import { parseEndpointSlice, parseService } from '../../model/service.ts'
import type { Database, Transaction } from '../../table/database.ts'
import type { Table } from '../../table/definition.ts'
import type { Log } from './log.ts'
import type { Told } from './policy-events.ts'

/** How the watches are doing, for `status`. */
export interface KubeHealth {
  /** Watches that do not work now, with the reason. */
  readonly failing: ReadonlyMap<string, string>
  /** Objects received so far, by table. */
  readonly events: ReadonlyMap<string, number>
}

/** Asks for one pod, of whatever node; undefined where there is none or what there is can not be read. */
export const podFinder =
  (kube: Kube) =>
  async (namespace: string, name: string): Promise<Pod | undefined> => {
    const object = await kube
      .get(PODS, namespace, name)
      .catch((e: unknown) => (isNotFound(e) ? undefined : Promise.reject(e)))
    const parsed = object && parsePod(object)
    return parsed?.ok ? parsed.value : undefined
  }

/**
 * Every kind of object the agent follows, and the table it fills. Only this node's pods are asked for. `told` gets
 * the objects of the kinds it wants as the server has them, status and all; of others only the rows are kept, from the
 * moment an object is read.
 */
export function watchKube(
  db: Database,
  kube: Kube,
  nodeName: string,
  scope: HealthScope,
  log: Log,
  told?: Told,
): KubeHealth {
  const failing = new Map<string, string>()
  const events = new Map<string, number>()
  const ofThisNode = `spec.nodeName=${nodeName}`

  watch(PODS, rows.pods, parsePod, { fieldSelector: ofThisNode })
  watch(NAMESPACES, rows.namespaces, parseNamespace)
  watch(NODES, rows.nodes, parseNode)
  watch(SERVICES, rows.services, parseService)
  watch(ENDPOINT_SLICES, rows.endpointSlices, parseEndpointSlice)
  watch(NETWORK_POLICIES, rows.networkPolicies, (o) => parsePolicyObject('NetworkPolicy', o))
  watch(CILIUM_NETWORK_POLICIES, rows.ciliumNetworkPolicies, (o) => parsePolicyObject('CiliumNetworkPolicy', o))
  watch(CILIUM_CLUSTERWIDE_NETWORK_POLICIES, rows.ciliumClusterwideNetworkPolicies, (o) =>
    parsePolicyObject('CiliumClusterwideNetworkPolicy', o),
  )
  watch(CLUSTER_NETWORK_POLICIES, rows.clusterNetworkPolicies, (o) => parsePolicyObject('ClusterNetworkPolicy', o), {
    optional: true,
  })
  watch(CILIUM_CIDR_GROUPS, rows.cidrGroups, parseCidrGroup, { optional: true })
  const secrets = db.get(rows.settings, 'settings')?.policySecretsNamespace
  if (secrets) watch(SECRETS, rows.policySecrets, parseSecret, { namespace: secrets, mayBeForbidden: true })
  else db.commit((tx) => tx.initialised(rows.policySecrets))
  watch(CILIUM_IDENTITIES, rows.ciliumIdentities, parseCiliumIdentity)
  watch(CILIUM_ENDPOINTS, rows.ciliumEndpoints, parseCiliumEndpoint)
  watch(CILIUM_NODES, rows.ciliumNodes, parseCiliumNode)
  return { failing, events }

  /** What a derivation throws is a broken invariant and no fault of the watch: it ends the process. */
  function commit(change: (tx: Transaction) => void): void {
    try {
      db.commit(change)
    } catch (e) {
      queueMicrotask(() => {
        throw e
      })
    }
  }

  function watch<Row>(
    resource: Resource,
    into: Table<Row>,
    parse: (o: unknown) => Result<Row>,
    options: {
      readonly fieldSelector?: string
      readonly namespace?: string
      readonly optional?: boolean
      readonly mayBeForbidden?: boolean
    } = {},
  ): void {
    const parsed = (object: KubeObject): Row | undefined => {
      const result = parse(object)
      if (result.ok) return result.value
      log(
        'warning',
        `${resource.kind} ${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}: ${problemText(result.error)}`,
      )
      return undefined
    }
    const count = (n: number) => events.set(into.name, (events.get(into.name) ?? 0) + n)
    scope.loop(`watch ${resource.plural}`, () =>
      reflect(
        kube,
        {
          resource,
          read: (object) => ({ row: parsed(object), ...(told?.wants(resource) ? { object } : {}) }),
          backoffMs: [100, 5_000],
          ...(options.namespace ? { namespace: options.namespace } : {}),
          ...(options.fieldSelector ? { fieldSelector: options.fieldSelector } : {}),
        },
        {
          replaced(objects) {
            count(objects.length)
            if (told?.wants(resource))
              told.listed(
                resource,
                objects.flatMap(({ object }) => object ?? []),
              )
            commit((tx) => {
              tx.replace(
                into,
                objects.flatMap(({ row }) => row ?? []),
              )
              tx.initialised(into)
            })
          },
          changed(changes) {
            count(changes.length)
            commit((tx) => {
              for (const { type, object } of changes) {
                const { row } = object
                if (row === undefined) continue
                if (type === 'put') tx.put(into, row)
                else tx.remove(into, into.key(row))
              }
            })
          },
          health(error) {
            // A kind that the cluster does not know has no objects; it may come to know it later.
            const absent = options.optional === true && error !== undefined && isNotFound(error)
            // Without the right to read them there are none: what needs them stays closed, and says so.
            if (absent || (options.mayBeForbidden && isForbidden(error)))
              commit((tx) => {
                tx.replace(into, [])
                tx.initialised(into)
              })
            if (!error || absent) failing.delete(resource.plural)
            else if (failing.get(resource.plural) !== error.message) {
              failing.set(resource.plural, error.message)
              log('warning', `watch ${resource.plural}: ${error.message}`)
            }
          },
        },
        scope.signal,
      ),
    )
  }
}
