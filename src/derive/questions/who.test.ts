// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, openAsking, type Question } from './ask.ts'
import { type Cluster, learn, openCluster } from './cluster.ts'
import { readObjects } from './objects.ts'
import { decidedByText } from './reasons.ts'

const pod = (name: string, app: string) => ({ kind: 'Pod', metadata: { name, labels: { app } } })
const identity = (number: number, labels: object) => ({
  kind: 'CiliumIdentity',
  metadata: { name: String(number) },
  'security-labels': labels,
})
const policy = (name: string, spec: object) => ({ kind: 'CiliumNetworkPolicy', metadata: { name }, spec })
const objects = [
  pod('web-1', 'web'),
  pod('web-2', 'web'),
  pod('api', 'api'),
  policy('api', {
    endpointSelector: { matchLabels: { app: 'api' } },
    ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }, { fromCIDR: ['192.0.2.0/24'] }],
  }),
  policy('names', {
    endpointSelector: { matchLabels: { app: 'api' } },
    egress: [{ toFQDNs: [{ matchPattern: '*.a.io' }] }],
  }),
  identity(4711, {
    'k8s:app': 'web',
    'k8s:io.kubernetes.pod.namespace': 'default',
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name': 'default',
    'k8s:io.cilium.k8s.policy.cluster': 'default',
    'k8s:io.cilium.k8s.policy.serviceaccount': 'default',
  }),
  identity(4712, { 'k8s:app': 'gone', 'k8s:io.kubernetes.pod.namespace': 'default' }),
  identity(16777300, { 'cidr:192.0.2.0/24': '', 'reserved:world-ipv4': '' }),
  identity(16777301, { 'cidr:203.0.113.0/24': '', 'reserved:world-ipv4': '' }),
]
const open = () => openCluster(readObjects(objects))
function said(cluster: Cluster, question: Question): string {
  const found = ask(openAsking(cluster), question)
  if (!found.ok) return `${found.error.message} (${found.error.fix})`
  const { verdict, decidedBy, from, to } = found.value
  return [`${verdict.final}: ${decidedByText(decidedBy)}`, ...from.notes, ...to.notes].join('; ')
}

test('an identity is asked by the number that events show', () => {
  const from = (number: string) => said(open(), { from: `identity:${number}`, to: 'api', port: 80 })
  const rule = 'CiliumNetworkPolicy default/api'
  assert.equal(
    from('4711'),
    `allow: ${rule} spec.ingress[0].fromEndpoints[0]; identity 4711 is default/web-1, default/web-2`,
  )
  assert.match(from('4712'), /^deny: CiliumNetworkPolicy default\/api default deny; identity 4712 is k8s:app=gone/)
  assert.equal(from('9'), `deny: ${rule} default deny; identity 9 is reserved:world-ipv4`)
  assert.match(from('16777300'), /^allow: .* spec.ingress\[1\].fromCIDR\[0\]; identity 16777300 is cidr:192.0.2.0\/24/)
  assert.match(from('16777301'), /means nobody here/)
  assert.match(from('300'), /^'identity:300': there is no such identity \(.*CiliumIdentity/)
})

test('numbers of prefixes follow from them, and need no list', () => {
  const cluster = open()
  const found = ask(openAsking(cluster), { from: '192.0.2.7', to: 'api', port: 80 })
  assert(found.ok)
  assert.match(
    said(cluster, { from: `identity:${found.value.from.identity}`, to: 'api', port: 80 }),
    /^allow: .*fromCIDR\[0\]; identity [0-9]+ is cidr:192.0.2.0\/24/,
  )
})

test('an address that pods were told for a name is asked as they know it', () => {
  const cluster = open()
  const to = (address: string) => said(cluster, { from: 'api', to: address, port: 443 })
  assert.match(to('198.51.100.7'), /^deny: .*ask about fqdn:NAME too/)
  learn(cluster, [
    { address: '198.51.100.7', names: ['x.a.io'] },
    { address: '198.51.100.8', names: ['x.b.io'] },
  ])
  assert.equal(
    to('198.51.100.7'),
    'allow: CiliumNetworkPolicy default/names spec.egress[0].toFQDNs[0]; pods of this node were told 198.51.100.7 for x.a.io',
  )
  assert.match(to('198.51.100.8'), /^deny/)
})
