// SPDX-License-Identifier: Apache-2.0
import type { Kube } from '../../edge/kube/client.ts'
import {
  CILIUM_ENDPOINTS,
  CILIUM_IDENTITIES,
  CILIUM_NODES,
  type KubeObject,
  NODES,
  PODS,
  type Resource,
} from '../../edge/kube/resource.ts'
import { isConflict, isNotFound } from '../../edge/kube/status.ts'

/** All objects of a kind, page by page. */
export async function listAll<T = KubeObject>(kube: Kube, resource: Resource): Promise<readonly T[]> {
  const all: T[] = []
  let next = ''
  do {
    const page = await kube.list<T>(resource, undefined, { limit: 500, ...(next ? { continue: next } : {}) })
    all.push(...page.items)
    next = page.continue
  } while (next !== '')
  return all
}

const keyOf = (o: KubeObject): string => `${o.metadata.namespace ?? ''}/${o.metadata.name}`

/** Deletes an object only if it is still the one that was judged. */
async function deleteJudged(kube: Kube, resource: Resource, o: KubeObject): Promise<boolean> {
  try {
    await kube.delete(resource, o.metadata.namespace, o.metadata.name, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid: o.metadata.uid, resourceVersion: o.metadata.resourceVersion },
    })
    return true
  } catch (e) {
    if (isNotFound(e) || isConflict(e)) return false
    throw e
  }
}

/** CiliumEndpoints whose pod is gone. The endpoints are listed first, so that a pod created meanwhile is seen. */
export async function collectEndpoints(kube: Kube): Promise<number> {
  const endpoints = await listAll(kube, CILIUM_ENDPOINTS)
  if (endpoints.length === 0) return 0
  const pods = new Set((await listAll(kube, PODS)).map(keyOf))
  let deleted = 0
  for (const e of endpoints) if (!pods.has(keyOf(e)) && (await deleteJudged(kube, CILIUM_ENDPOINTS, e))) deleted++
  return deleted
}

/** CiliumNodes whose node is gone. */
export async function collectNodes(kube: Kube): Promise<number> {
  const ciliumNodes = await listAll(kube, CILIUM_NODES)
  const nodes = new Set((await listAll(kube, NODES)).map((n) => n.metadata.name))
  let deleted = 0
  for (const n of ciliumNodes) if (!nodes.has(n.metadata.name) && (await deleteJudged(kube, CILIUM_NODES, n))) deleted++
  return deleted
}

/** Remembers since when identities are without endpoints, and deletes those that were for long. */
export function identityCollector(kube: Kube, timeoutMs: number) {
  const idleSince = new Map<string, { uid: string | undefined; since: number }>()
  return async (now: number): Promise<number> => {
    const identities = await listAll(kube, CILIUM_IDENTITIES)
    const endpoints = await listAll<KubeObject & { status?: { identity?: { id?: number } } }>(kube, CILIUM_ENDPOINTS)
    const used = new Set(endpoints.map((e) => String(e.status?.identity?.id ?? '')))
    let deleted = 0
    const names = new Set<string>()
    for (const identity of identities) {
      const { name, uid } = identity.metadata
      names.add(name)
      const idle = idleSince.get(name)
      if (used.has(name)) idleSince.delete(name)
      else if (!idle || idle.uid !== uid) idleSince.set(name, { uid, since: now })
      else if (now - idle.since >= timeoutMs && (await deleteJudged(kube, CILIUM_IDENTITIES, identity))) deleted++
    }
    for (const name of idleSince.keys()) if (!names.has(name)) idleSince.delete(name)
    return deleted
  }
}
