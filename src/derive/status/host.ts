// SPDX-License-Identifier: Apache-2.0
import type { Endpoint } from '../../model/endpoint.ts'
import { labelSet, parseLabel } from '../../model/labels.ts'
import { devices, nodes, settings } from '../../model/rows.ts'
import type { Read } from '../../table/definition.ts'
import { endpointNumbers, hostAttachment } from '../endpoints/tables.ts'
import { hostSubject, nodeSubjects } from '../policy/subjects.ts'

/** The node itself in the form of an endpoint, as Cilium's clients look for it; only where it has a firewall. */
export function hostEndpoint(read: Read): Endpoint | undefined {
  const subject = read.get(nodeSubjects, hostSubject)
  const config = read.get(settings, 'settings')
  if (!subject || !config) return undefined
  const own = read.get(nodes, config.nodeName)?.addresses.filter((a) => a.type === 'InternalIP') ?? []
  const of = (v6: boolean): string => own.find((a) => a.address.includes(':') === v6)?.address ?? ''
  const device = read.all(devices).find((d) => own.some((a) => d.addresses.includes(a.address)))
  const labels = subject.labels.map(parseLabel)
  return {
    attachment: hostAttachment,
    id: read.get(endpointNumbers, hostAttachment)?.id ?? 0,
    containerId: '',
    ifname: device?.name ?? '',
    netns: '',
    namespace: '',
    podName: '',
    podUid: '',
    ipv4: of(false),
    ipv6: of(true),
    labels: labelSet(labels.map((l) => (l.source === 'node' ? { ...l, source: 'k8s' } : l))),
    identity: subject.identity,
    namedPorts: [],
    link: device?.name ?? '',
    interface: device?.index ?? 0,
    problem: '',
  }
}
