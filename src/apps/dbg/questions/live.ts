// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findAccess } from '../../../edge/kube/access.ts'
import { type Kube, openKube } from '../../../edge/kube/client.ts'
import {
  CILIUM_CIDR_GROUPS,
  CILIUM_IDENTITIES,
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
import { isLocalIdentity } from '../../../model/identity.ts'
import { type LearntAddress, normalName } from '../../../model/names.ts'
import { AgentError, agentAt } from '../agent.ts'
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

export interface Live {
  readonly kubeconfig?: string | undefined
  /** Also which labels the numbers of identities stand for. */
  readonly numbers?: boolean
  /** The agent's, on whose node this runs. */
  readonly socket?: string
}

/** All objects that policy depends on, from the API server, with the credentials of the agent's pod or of a kubeconfig. */
export async function readLive({
  kubeconfig = process.env['KUBECONFIG'],
  numbers = false,
  socket = process.env['CILIUM_SOCK'] ?? '/var/run/cilium/cilium.sock',
}: Live = {}): Promise<Manifests> {
  let kube: Kube
  try {
    kube = openKube(findAccess(kubeconfig ? { kubeconfig } : {}), { userAgent: 'cilium-dbg' })
  } catch (e) {
    throw new Error(
      `the live cluster can not be asked (${e instanceof Error ? e.message : e}); give --cluster DIR for a folder of manifests`,
    )
  }
  try {
    const wanted = numbers ? [...kinds, CILIUM_IDENTITIES] : kinds
    const lists = await Promise.all(wanted.map((k) => everything(kube, k)))
    const ofAgent = [...agentConfig(), ...(await importedRules(socket)), ...(numbers ? await ownNumbers(socket) : [])]
    return { found: [...lists.flat(), ...ofAgent], learnt: await learntNames(socket), problems: [] }
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
      out.push(located({ ...item, kind: resource.kind }, `${resource.kind} ${namespace ? `${namespace}/` : ''}${name}`))
    }
    next = page.continue
  } while (next !== '')
  return out
}

/** Rules that were imported into the agent of this node; none where there is no agent. */
export async function importedRules(socket: string): Promise<readonly Located[]> {
  if (!existsSync(socket)) return []
  const { policy } = await agentAt(socket).get<{ readonly policy: string }>('/policy')
  const fromKubernetes = (rule: { readonly labels?: readonly { readonly key: string }[] }): boolean =>
    rule.labels?.some((l) => l.key.startsWith('io.cilium.k8s.policy.')) === true
  return (JSON.parse(policy) as Parameters<typeof fromKubernetes>[0][])
    .filter((rule) => !fromKubernetes(rule))
    .map((object) => located(object, 'imported rule'))
}

const located = (object: object, file: string): Located => ({
  object,
  file,
  place: () => ({ file, line: 1, column: 1 }),
})

/** Identities that only this node knows: of prefixes and names. */
async function ownNumbers(socket: string): Promise<readonly Located[]> {
  if (!existsSync(socket)) return []
  const all =
    await agentAt(socket).get<readonly { readonly id: number; readonly labels: readonly string[] }[]>('/identity')
  return all
    .filter((i) => isLocalIdentity(i.id))
    .map((i) => {
      const labels = i.labels.map((text) => /^([^=]*)=?(.*)$/s.exec(text)?.slice(1) as [string, string])
      const object = { kind: 'CiliumIdentity', metadata: { name: String(i.id) } }
      return located({ ...object, 'security-labels': Object.fromEntries(labels) }, `identity ${i.id}`)
    })
}

/** Which names the pods of this node were told for which addresses. */
export async function learntNames(socket: string): Promise<readonly LearntAddress[]> {
  if (!existsSync(socket)) return []
  const found = await agentAt(socket)
    .get<readonly { readonly fqdn: string; readonly ips: readonly string[] }[]>('/fqdn/cache')
    .catch((e: unknown): [] => {
      if (e instanceof AgentError && e.status === 404) return []
      throw e
    })
  const names = new Map<string, Set<string>>()
  for (const { fqdn, ips } of found)
    for (const address of ips) names.set(address, (names.get(address) ?? new Set()).add(normalName(fqdn)))
  return [...names].map(([address, of]) => ({ address, names: [...of].sort() }))
}

function agentConfig(): readonly Located[] {
  if (!existsSync(configDir)) return []
  const names = readdirSync(configDir).filter((n) => !n.startsWith('.'))
  const data = Object.fromEntries(names.map((n) => [n, readFileSync(join(configDir, n), 'utf8')]))
  const object = { kind: 'ConfigMap', metadata: { name: 'cilium-config', namespace: 'kube-system' }, data }
  return [located(object, configDir)]
}
