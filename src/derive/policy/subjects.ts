// SPDX-License-Identifier: Apache-2.0
import type { Endpoint } from '../../model/endpoint.ts'
import { reserved } from '../../model/identity.ts'
import { labelSet } from '../../model/labels.ts'
import type { KubeNode } from '../../model/node.ts'
import { endpointOptions, nodes, settings } from '../../model/rows.ts'
import { allocate, deriveAll, type Read } from '../../table/definition.ts'
import { endpoints, hostAttachment } from '../endpoints/tables.ts'
import { type Subject, subjectKey } from './subject.ts'

/**
 * This node as a subject, where it has a firewall; all nodes where no node is one's own, as in questions. With memory: a
 * Node that is deleted, or away at start, opens nothing.
 */
export const nodeSubjects = allocate<KubeNode, Subject>(
  'nodeSubjects',
  nodes,
  { key: (s) => s.key },
  (wanted, held, read) => {
    const config = read.get(settings, 'settings')
    if (!config?.enableHostFirewall) return []
    const said = wanted
      .filter((n) => config.nodeName === '' || n.name === config.nodeName)
      .map((n) => nodeSubject(n, config.nodeName === ''))
    return said.length > 0 ? said : held
  },
  [settings],
)

/** Key of this node's subject. */
export const hostSubject = hostAttachment
export const nodeSubjectKey = (name: string): string => `${hostSubject} ${name}`
export const nodeOfSubject = (key: string): string => key.slice(hostSubject.length + 1)

const nodeSubject = (node: KubeNode, named: boolean): Subject => ({
  key: named ? nodeSubjectKey(node.name) : hostSubject,
  identity: reserved.host,
  labels: labelSet([
    ...Object.entries(node.labels).map(([key, value]) => ({ source: 'node', key, value })),
    { source: 'reserved', key: 'host', value: '' },
  ]),
  namedPorts: [],
  ofNode: true,
})

/** What policy decides for: endpoints with an identity, those that it can not tell apart as one, and the node itself. */
const subjectSources = [endpoints, endpointOptions, nodeSubjects] as const
export const subjects = deriveAll<Subject>('subjects', subjectSources, { key: (s) => s.key }, (read) => {
  const out = new Map<string, Subject>()
  for (const node of read.all(nodeSubjects)) {
    const own = read.get(endpointOptions, hostAttachment)
    out.set(node.key, {
      ...node,
      ...(own?.policyAuditMode ? { audit: true } : {}),
      ...(own?.policyEnforced === false ? { unenforced: true } : {}),
    })
  }
  for (const e of read.all(endpoints)) {
    if (e.identity === 0) continue
    const key = subjectKeyOf(e, read)
    const own = read.get(endpointOptions, e.attachment)
    out.set(key, {
      key,
      identity: e.identity,
      labels: e.labels,
      namedPorts: e.namedPorts,
      ...(own?.policyAuditMode ? { audit: true } : {}),
      ...(own?.policyEnforced === false ? { unenforced: true } : {}),
    })
  }
  return [...out.values()]
})

/** The subject an endpoint belongs to; one with options of its own shares its policy with its like only. */
export function subjectKeyOf(e: Endpoint, read: Pick<Read, 'get'>): string {
  if (e.attachment === hostAttachment) return hostSubject
  const own = read.get(endpointOptions, e.attachment)
  const key = subjectKey(e.identity, e.namedPorts)
  return `${key}${own?.policyAuditMode ? ' audit' : ''}${own?.policyEnforced === false ? ' unenforced' : ''}`
}
