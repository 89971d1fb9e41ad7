// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findAccess } from '../../../edge/kube/access.ts'
import { type Kube, openKube } from '../../../edge/kube/client.ts'
import {
  CILIUM_CIDR_GROUPS,
  ENDPOINT_SLICES,
  type KubeObject,
  NAMESPACES,
  NODES,
  PODS,
  policyResources,
  type Resource,
  SERVICES,
} from '../../../edge/kube/resource.ts'
import { isNotFound } from '../../../edge/kube/status.ts'
import { agentAt } from '../agent.ts'
import type { Located, Manifests } from './manifests.ts'

const kinds: readonly Resource[] = [
  NAMESPACES,
  NODES,
  PODS,
  SERVICES,
  ENDPOINT_SLICES,
  ...Object.values(policyResources),
  CILIUM_CIDR_GROUPS,
]

/** Where the agent's container has cilium-config. */
const configDir = '/tmp/cilium/config-map'

/** All objects that policy depends on, from the API server, with the credentials of the agent's pod or of a kubeconfig. */
export async function readLive(kubeconfig = process.env['KUBECONFIG']): Promise<Manifests> {
  let kube: Kube
  try {
    kube = openKube(findAccess(kubeconfig ? { kubeconfig } : {}), { userAgent: 'cilium-dbg' })
  } catch (e) {
    throw new Error(
      `the live cluster can not be asked (${e instanceof Error ? e.message : e}); give --cluster DIR for a folder of manifests`,
    )
  }
  try {
    const lists = await Promise.all(kinds.map((k) => everything(kube, k)))
    return { found: [...lists.flat(), ...agentConfig(), ...(await importedRules())], problems: [] }
  } finally {
    kube.close()
  }
}

async function everything(kube: Kube, resource: Resource): Promise<readonly Located[]> {
  const out: Located[] = []
  let next = ''
  do {
    const page = await kube
      .list<KubeObject>(resource, undefined, { limit: 500, continue: next || undefined })
      .catch((e) => {
        // A kind the cluster does not have has no objects.
        if (isNotFound(e)) return { items: [], continue: '' }
        throw e
      })
    for (const item of page.items) {
      const { namespace, name } = item.metadata
      const file = `${resource.kind} ${namespace ? `${namespace}/` : ''}${name}`
      out.push({ object: { ...item, kind: resource.kind }, file, place: () => ({ file, line: 1, column: 1 }) })
    }
    next = page.continue
  } while (next !== '')
  return out
}

/** Rules that were imported into the agent of this node; none where there is no agent. */
export async function importedRules(
  socket = process.env['CILIUM_SOCK'] ?? '/var/run/cilium/cilium.sock',
): Promise<readonly Located[]> {
  if (!existsSync(socket)) return []
  const { policy } = await agentAt(socket).get<{ readonly policy: string }>('/policy')
  const fromKubernetes = (rule: { readonly labels?: readonly { readonly key: string }[] }): boolean =>
    rule.labels?.some((l) => l.key.startsWith('io.cilium.k8s.policy.')) === true
  const file = 'imported rule'
  return (JSON.parse(policy) as Parameters<typeof fromKubernetes>[0][])
    .filter((rule) => !fromKubernetes(rule))
    .map((object) => ({ object, file, place: () => ({ file, line: 1, column: 1 }) }))
}

function agentConfig(): readonly Located[] {
  if (!existsSync(configDir)) return []
  const names = readdirSync(configDir).filter((n) => !n.startsWith('.'))
  const data = Object.fromEntries(names.map((n) => [n, readFileSync(join(configDir, n), 'utf8')]))
  const object = { kind: 'ConfigMap', metadata: { name: 'cilium-config', namespace: 'kube-system' }, data }
  return [{ object, file: configDir, place: () => ({ file: configDir, line: 1, column: 1 }) }]
}
