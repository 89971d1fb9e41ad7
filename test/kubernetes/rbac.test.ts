// SPDX-License-Identifier: Apache-2.0
/** What the chart grants against what the programs ask for, by the API server's audit log. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { build } from './build.ts'
import { type AuditEvent, audited, down, up } from './cluster.ts'
import { items, json, kubectl, tryKubectl } from './kubectl.ts'
import { root } from './places.ts'
import { install, ready } from './product.ts'
import { until } from './run.ts'
import { apply, pod, podsReady } from './workloads.ts'

/** Granted for what this test does not bring about. */
const overflow = 'a policy has more entries than an endpoint can hold'
const seldom: Readonly<Record<string, string>> = {
  'cilium /events create': overflow,
  'cilium cilium.io/ciliumnetworkpolicies get': overflow,
  'cilium cilium.io/ciliumnetworkpolicies/status patch': overflow,
  'cilium cilium.io/ciliumclusterwidenetworkpolicies get': overflow,
  'cilium cilium.io/ciliumclusterwidenetworkpolicies/status patch': overflow,
  'cilium policy.networking.k8s.io/clusternetworkpolicies get': overflow,
  'cilium policy.networking.k8s.io/clusternetworkpolicies/status patch': overflow,
  'cilium cilium.io/ciliumidentities get': 'two agents make the same identity at once',
  'cilium-operator cilium.io/ciliumnodes/status patch': 'there is no prefix left for a node',
}

const nameOf = (account: string, group: string, resource: string, verb: string): string =>
  `${account} ${group}/${resource} ${verb}`
const usedBy = (all: readonly AuditEvent[]): ReadonlySet<string> =>
  new Set(
    all.map(({ user, verb, objectRef: o }) =>
      nameOf(
        user.username.split(':').at(-1) ?? '',
        o?.apiGroup ?? '',
        `${o?.resource ?? ''}${o?.subresource ? `/${o.subresource}` : ''}`,
        verb,
      ),
    ),
  )

interface Binding {
  readonly roleRef: { readonly kind: string; readonly name: string }
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[]
  readonly metadata: { readonly namespace?: string }
}
interface Role {
  readonly rules: readonly {
    readonly apiGroups?: readonly string[]
    readonly resources?: readonly string[]
    readonly verbs: readonly string[]
  }[]
}

/** All that the product's accounts may do, wherever. */
async function granted(): Promise<ReadonlySet<string>> {
  const out = new Set<string>()
  const bindings = [
    ...(await items<Binding>(['get', 'clusterrolebindings'])),
    ...(await items<Binding>(['get', 'rolebindings', '-A'])),
  ]
  for (const { roleRef, subjects, metadata } of bindings)
    for (const s of subjects ?? []) {
      if (s.kind !== 'ServiceAccount' || s.namespace !== 'kube-system' || !s.name.startsWith('cilium')) continue
      const where = roleRef.kind === 'Role' ? ['-n', metadata.namespace ?? ''] : []
      const role = await json<Role>([...where, 'get', roleRef.kind.toLowerCase(), roleRef.name])
      for (const rule of role.rules)
        for (const group of rule.apiGroups ?? [])
          for (const resource of rule.resources ?? [])
            for (const verb of rule.verbs) out.add(nameOf(s.name, group, resource, verb))
    }
  return out
}

const policy = (kind: string, name: string, spec: object): object => ({
  apiVersion: kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : 'cilium.io/v2',
  kind,
  metadata: { name },
  spec,
})
describe('what the chart grants', { concurrency: 1 }, () => {
  before(async () => {
    await build()
    await up(2, () => {})
    // Of an older release, and a node that waits for its agent.
    await kubectl(['apply', '-f', join(root, 'crds/ciliumcidrgroups.yaml')])
    await kubectl([
      'label',
      '--overwrite',
      'crd',
      'ciliumcidrgroups.cilium.io',
      'io.cilium.k8s.crd.schema.version=0.0.1',
    ])
    await kubectl(['taint', 'node', 'node-1', 'node.cilium.io/agent-not-ready=true:NoSchedule'])
    await install([
      'operator.identityGCInterval=3s',
      'operator.identityHeartbeatTimeout=3s',
      'operator.endpointGCInterval=3s',
      'operator.nodeGCInterval=3s',
    ])
    await ready()
  })
  after(down)

  test('every verb is used, and none is missing', async () => {
    await apply([
      pod('client', 'node-1', { role: 'client' }),
      pod('server', 'node-2', { role: 'server' }),
      policy('CiliumNetworkPolicy', 'good', { endpointSelector: {}, ingress: [{ fromEntities: ['all'] }] }),
      policy('CiliumClusterwideNetworkPolicy', 'good', { endpointSelector: {}, ingress: [{ fromEntities: ['all'] }] }),
      policy('CiliumNetworkPolicy', 'bad', { endpointSelector: {}, ingress: [{ fromCIDR: ['10.0.0.0/40'] }] }),
      policy('NetworkPolicy', 'good', { podSelector: {}, ingress: [{}] }),
      {
        apiVersion: 'policy.networking.k8s.io/v1alpha2',
        kind: 'ClusterNetworkPolicy',
        metadata: { name: 'good' },
        spec: {
          tier: 'Admin',
          priority: 10,
          subject: { namespaces: {} },
          ingress: [{ action: 'Accept', from: [{ namespaces: {} }] }],
        },
      },
    ])
    await podsReady()
    // A secret that a policy names is copied, followed, and goes with the policy.
    const secret = (value: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'token' },
      data: { value },
    })
    const copy = async () =>
      (await tryKubectl(['-n', 'cilium-secrets', 'get', 'secret', 'default-token', '-o', 'jsonpath={.data.value}']))
        .stdout
    const headerMatches = [{ name: 'X-Token', secret: { name: 'token' } }]
    await apply([
      secret('YQ=='),
      policy('CiliumNetworkPolicy', 'naming', {
        endpointSelector: { matchLabels: { role: 'nobody' } },
        ingress: [{ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{ headerMatches }] } }] }],
      }),
    ])
    await until('the secret is copied', async () => (await copy()) === 'YQ==')
    await apply([secret('Yg==')])
    await until('the copy follows', async () => (await copy()) === 'Yg==')
    await kubectl(['delete', 'ciliumnetworkpolicy', 'naming'])
    await until('the copy goes', async () => (await copy()) === '')
    await kubectl(['label', 'pod', 'client', 'role=other', '--overwrite'])
    // Without an owner, so that nobody but the operator deletes them.
    await apply([
      { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'gone' }, spec: {} },
      { apiVersion: 'cilium.io/v2', kind: 'CiliumEndpoint', metadata: { name: 'gone' } },
    ])
    await kubectl(['delete', 'pod', 'server', '--wait=false'])
    await until('what is left over is collected', async () => {
      const left = await Promise.all(
        ['ciliumnode/gone', 'ciliumendpoint/gone', 'ciliumendpoint/server'].map((o) => tryKubectl(['get', o])),
      )
      return left.every((r) => r.code === 1)
    })
    const known = await granted()
    assert.ok(known.size > 40)
    let unused: readonly string[] = []
    await until('all that is granted is used', async () => {
      const used = usedBy(audited())
      unused = [...known].filter((g) => !used.has(g) && !(g in seldom))
      return unused.length === 0 || `granted and never used: ${unused.join(', ')}`
    })
    const denied = audited().filter((c) => c.responseStatus?.code === 403)
    assert.deepEqual([...usedBy(denied)], [])
    for (const g of Object.keys(seldom)) assert.ok(known.has(g), `${g} is not granted any more`)
  })
})
