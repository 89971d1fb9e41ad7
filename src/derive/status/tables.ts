// SPDX-License-Identifier: Apache-2.0
import type { Endpoint, EndpointState } from '../../model/endpoint.ts'
import type { JsonObject } from '../../model/json.ts'
import { kernelPolicies, nodes, settings } from '../../model/rows.ts'
import { deriveEach, type Read } from '../../table/definition.ts'
import { internalAddress, policyOf } from '../addresses/tables.ts'
import { endpoints } from '../endpoints/tables.ts'
import { policyRows } from '../policy/decisions.ts'
import { subjectPrograms } from '../policy/programs.ts'
import { subjectKeyOf } from '../policy/subjects.ts'

/** How far an endpoint has come, and what its policy is in words. */
export interface EndpointStatus {
  readonly attachment: string
  readonly id: number
  readonly state: EndpointState
  /** Why it is not ready. */
  readonly reason: string
  readonly policy: number
  readonly ingressEnforced: boolean
  readonly egressEnforced: boolean
  readonly audit: boolean
}

export const endpointStatus = deriveEach<Endpoint, EndpointStatus>(
  'endpointStatus',
  endpoints,
  {
    key: (s) => s.attachment,
    indexes: { id: (s) => [String(s.id)] },
    columns: [
      ['ENDPOINT', (s) => String(s.id)],
      ['STATE', (s) => s.state],
      ['REASON', (s) => s.reason],
    ],
  },
  (e, read) => [statusFrom(e, read)],
)

export function statusFrom(e: Endpoint, read: Read): EndpointStatus {
  const policy = policyOf(read, e)
  const of = read.get(subjectPrograms, subjectKeyOf(e, read))
  const { state, reason } = stateOf(e, policy, read)
  return {
    attachment: e.attachment,
    id: e.id,
    state,
    reason,
    policy,
    ingressEnforced: of?.ingress.otherwise === 'deny' || (of?.ingress.entries.length ?? 0) > 0,
    egressEnforced: of?.egress.otherwise === 'deny' || (of?.egress.entries.length ?? 0) > 0,
    audit: of?.ingress.audit ?? false,
  }
}

function stateOf(e: Endpoint, policy: number, read: Read): { readonly state: EndpointState; readonly reason: string } {
  if (e.problem !== '') return { state: 'invalid', reason: e.problem }
  if (e.labels.length === 0) return { state: 'waiting-for-identity', reason: 'the pod is not known yet' }
  if (e.identity === 0) return { state: 'waiting-for-identity', reason: 'its labels have no identity yet' }
  if (e.interface === 0) return { state: 'not-ready', reason: `no interface ${e.link} yet` }
  const wanted = read.get(policyRows, String(policy))
  const there = read.get(kernelPolicies, String(policy))
  if (!wanted || wanted.ingress === 0 || wanted.egress === 0)
    return { state: 'not-ready', reason: 'its policy found no place in the kernel: nothing passes' }
  if (!there) return { state: 'not-ready', reason: 'its first policy is not in the kernel yet' }
  if (there.ingress !== wanted.ingress || there.egress !== wanted.egress)
    return { state: 'regenerating', reason: 'a newer policy is on its way into the kernel' }
  return { state: 'ready', reason: '' }
}

/** A pod whose sandbox is made anew has two endpoints for a while; the object tells of the one that came last. */
function isNewest(e: Endpoint, read: Read): boolean {
  const others = read.by(endpoints, 'pod', `${e.namespace}/${e.podName}`).filter((o) => o.podUid === e.podUid)
  return others.every((o) => o.interface < e.interface || (o.interface === e.interface && o.attachment <= e.attachment))
}

/** A CiliumEndpoint as this node's agent wants it: `status` of the object of the pod's name. */
export interface CiliumEndpointObject {
  readonly namespace: string
  readonly name: string
  readonly podUid: string
  readonly status: JsonObject
}

export const ciliumEndpointObjects = deriveEach<Endpoint, CiliumEndpointObject>(
  'ciliumEndpointObjects',
  endpoints,
  { key: (o) => `${o.namespace}/${o.name} ${o.podUid}`, indexes: { pod: (o) => [`${o.namespace}/${o.name}`] } },
  (e, read) => {
    const status = read.get(endpointStatus, e.attachment)
    const config = read.get(settings, 'settings')
    const node = config && read.get(nodes, config.nodeName)
    if (e.identity === 0 || e.podUid === '' || !status || !node || !isNewest(e, read)) return []
    const ready = status.state === 'ready' || status.state === 'regenerating'
    const enforcing = (on: boolean) => ({
      enforcing: on,
      state: on ? (status.audit ? '<audit>' : '<status enforcing>') : '<status disabled>',
    })
    const addressing = { ...(e.ipv4 === '' ? {} : { ipv4: e.ipv4 }), ...(e.ipv6 === '' ? {} : { ipv6: e.ipv6 }) }
    return [
      {
        namespace: e.namespace,
        name: e.podName,
        podUid: e.podUid,
        status: {
          id: e.id,
          'external-identifiers': {
            'container-id': e.containerId,
            'cni-attachment-id': e.attachment,
            'k8s-namespace': e.namespace,
            'k8s-pod-name': e.podName,
            'pod-name': `${e.namespace}/${e.podName}`,
          },
          identity: { id: e.identity, labels: e.labels },
          networking: { addressing: [addressing], node: internalAddress(node.addresses) },
          policy: {
            ingress: enforcing(status.ingressEnforced),
            egress: enforcing(status.egressEnforced),
          },
          // A replacement of the policy is no news to other nodes; only a first readiness is.
          state: ready ? 'ready' : status.state,
          ...(e.namedPorts.length === 0
            ? {}
            : { 'named-ports': e.namedPorts.map(({ name, port, protocol }) => ({ name, port, protocol })) }),
        },
      },
    ]
  },
)
