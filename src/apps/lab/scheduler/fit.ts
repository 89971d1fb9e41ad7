// SPDX-License-Identifier: Apache-2.0
import { matchesLabels } from '../../../protocol/kubeapi/selector.ts'
import type {
  Node,
  Pod,
  PodAffinityTerm,
  SelectorRequirement,
  SelectorTerm,
  Taint,
  Toleration,
} from '../controllers/objects.ts'
import { quantity } from './quantity.ts'

/** A node, the pods bound to it, and the labels of all namespaces (for affinity by namespaceSelector). */
export interface Candidate {
  readonly node: Node
  readonly pods: readonly Pod[]
}

export interface Surroundings {
  readonly candidates: readonly Candidate[]
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>
}

/** Why a pod can not run on a node, in the words of Kubernetes' events; undefined when it can. */
export const misfit = (pod: Pod, on: Candidate, around: Surroundings): string | undefined =>
  unschedulable(pod, on.node) ??
  selectorMisfit(pod, on.node) ??
  taintMisfit(pod, on.node) ??
  portMisfit(pod, on.pods) ??
  resourceMisfit(pod, on) ??
  affinityMisfit(pod, on, around)

const unschedulable = (pod: Pod, node: Node): string | undefined => {
  const taint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }
  return node.spec?.unschedulable && !tolerates(pod.spec.tolerations, taint) ? 'node(s) were unschedulable' : undefined
}

/** True when one of the tolerations covers the taint. */
export const tolerates = (tolerations: readonly Toleration[] | undefined, taint: Taint): boolean =>
  (tolerations ?? []).some(
    (t) =>
      (!t.effect || t.effect === taint.effect) &&
      (!t.key || t.key === taint.key) &&
      (t.operator === 'Exists' || (!!t.key && (t.value ?? '') === (taint.value ?? ''))),
  )

/** nodeSelector and required node affinity, as scheduler and DaemonSets read them. */
export const matchesNode = (spec: Pod['spec'], node: Node): boolean => {
  const labels = node.metadata.labels ?? {}
  if (!Object.entries(spec.nodeSelector ?? {}).every(([k, v]) => labels[k] === v)) return false
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  return terms === undefined || terms.some((t) => matchesTerm(t, node))
}

const matchesTerm = (term: SelectorTerm, node: Node): boolean => {
  const labels = node.metadata.labels ?? {}
  const { matchExpressions = [], matchFields = [] } = term
  if (matchExpressions.length + matchFields.length === 0) return false
  return (
    matchExpressions.every((r) => holds(r, labels[r.key])) &&
    matchFields.every((r) => holds(r, r.key === 'metadata.name' ? node.metadata.name : undefined))
  )
}

const holds = ({ operator, values = [] }: SelectorRequirement, held: string | undefined): boolean => {
  switch (operator) {
    case 'In':
      return held !== undefined && values.includes(held)
    case 'NotIn':
      return held === undefined || !values.includes(held)
    case 'Exists':
      return held !== undefined
    case 'DoesNotExist':
      return held === undefined
    case 'Gt':
      return held !== undefined && Number(held) > Number(values[0])
    case 'Lt':
      return held !== undefined && Number(held) < Number(values[0])
  }
}

const selectorMisfit = (pod: Pod, node: Node) =>
  matchesNode(pod.spec, node) ? undefined : "node(s) didn't match Pod's node affinity/selector"

const taintMisfit = (pod: Pod, node: Node): string | undefined => {
  const taint = (node.spec?.taints ?? []).find(
    (t) => t.effect !== 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, t),
  )
  return taint && `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`
}

interface HostPort {
  readonly ip: string
  readonly protocol: string
  readonly port: number
}

const hostPorts = (pod: Pod): readonly HostPort[] =>
  pod.spec.containers.flatMap((c) =>
    (c.ports ?? []).flatMap((p) => {
      const port = p.hostPort ?? (pod.spec.hostNetwork ? p.containerPort : 0)
      return port > 0 ? [{ ip: p.hostIP || '0.0.0.0', protocol: p.protocol ?? 'TCP', port }] : []
    }),
  )

const portMisfit = (pod: Pod, pods: readonly Pod[]): string | undefined => {
  const wanted = hostPorts(pod)
  if (wanted.length === 0) return undefined
  const any = (ip: string) => ip === '0.0.0.0' || ip === '::'
  const clash = pods
    .flatMap(hostPorts)
    .some((held) =>
      wanted.some(
        (w) => w.port === held.port && w.protocol === held.protocol && (any(w.ip) || any(held.ip) || w.ip === held.ip),
      ),
    )
  return clash ? "node(s) didn't have free ports for the requested pod ports" : undefined
}

const requests = (pod: Pod, resource: string): number => {
  const of = (c: Pod['spec']['containers'][number]) => quantity(c.resources?.requests?.[resource])
  const main = pod.spec.containers.reduce((n, c) => n + of(c), 0)
  return Math.max(main, ...(pod.spec.initContainers ?? []).map(of))
}

const resourceMisfit = (pod: Pod, { node, pods }: Candidate): string | undefined => {
  const allocatable = node.status?.allocatable ?? {}
  if (allocatable['pods'] !== undefined && pods.length + 1 > quantity(allocatable['pods'])) return 'Too many pods'
  for (const resource of ['cpu', 'memory']) {
    const wanted = requests(pod, resource)
    if (wanted === 0 || allocatable[resource] === undefined) continue
    const held = pods.reduce((n, p) => n + requests(p, resource), 0)
    if (held + wanted > quantity(allocatable[resource])) return `Insufficient ${resource}`
  }
  return undefined
}

const affinityMisfit = (pod: Pod, on: Candidate, around: Surroundings): string | undefined => {
  const required = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  for (const term of required) {
    if (inDomain(term, pod, on, around)) continue
    // The first of a group that wants its own company may start anywhere.
    const alone = !around.candidates.some((c) => c.pods.some((p) => selects(term, pod, p, around)))
    if (!(alone && selects(term, pod, pod, around) && domain(term, on.node) !== undefined))
      return "node(s) didn't match pod affinity rules"
  }
  const forbidden = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  if (forbidden.some((term) => inDomain(term, pod, on, around))) return "node(s) didn't match pod anti-affinity rules"
  for (const candidate of around.candidates) {
    for (const other of candidate.pods) {
      for (const term of other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
        const here = domain(term, on.node)
        if (here !== undefined && here === domain(term, candidate.node) && selects(term, other, pod, around))
          return "node(s) didn't satisfy existing pods anti-affinity rules"
      }
    }
  }
  return undefined
}

const domain = (term: PodAffinityTerm, node: Node): string | undefined =>
  term.topologyKey === 'kubernetes.io/hostname' ? node.metadata.name : node.metadata.labels?.[term.topologyKey]

/** Does `term`, written in pod `of`, select pod `other`? */
const selects = (term: PodAffinityTerm, of: Pod, other: Pod, around: Surroundings): boolean => {
  const namespace = other.metadata.namespace ?? ''
  const listed = term.namespaces?.includes(namespace) ?? false
  const selected =
    term.namespaceSelector !== undefined && matchesLabels(term.namespaceSelector, around.namespaceLabels(namespace))
  const own = !term.namespaces?.length && !term.namespaceSelector && namespace === of.metadata.namespace
  return (listed || selected || own) && matchesLabels(term.labelSelector, other.metadata.labels)
}

const inDomain = (term: PodAffinityTerm, pod: Pod, on: Candidate, around: Surroundings): boolean => {
  const here = domain(term, on.node)
  return (
    here !== undefined &&
    around.candidates.some((c) => domain(term, c.node) === here && c.pods.some((p) => selects(term, pod, p, around)))
  )
}
