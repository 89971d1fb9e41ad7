// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtinResources } from '../../protocol/kubeapi/resources.ts'
import { openAdmission } from './api/admission.ts'
import { dualStack, ipv6Only } from './api/allocation.ts'
import { openStore } from './api/memory.ts'
import type { DaemonSet, Service } from './controllers/objects.ts'
import { createObject, systemObjects } from './manifests.ts'
import { Complaint, type LabSettings, projectRoot, readSettings } from './settings.ts'

const store = (settings: LabSettings) => {
  const opened = openStore({
    ...openAdmission(settings.ipv6Only ? ipv6Only : dualStack, () => undefined),
    clock: { now: Date.now, monotonic: () => performance.now() },
    resources: builtinResources,
  })
  opened.create('namespaces', { metadata: { name: 'kube-system' } })
  return opened
}

const applied = (settings: LabSettings) => {
  const s = store(settings)
  const at = { root: projectRoot(), apiHost: '172.30.0.1', apiPort: 6443, cgroups: '/sys/fs/cgroup/cilium-lab/x' }
  for (const object of systemObjects(settings, at)) createObject(s, object)
  return s
}

const settings = (more: object = {}) => readSettings({ name: 'x', nodes: '3', ...more })

test('the manifests of agent, operator and DNS are accepted with all defaults set', () => {
  const s = applied(settings())
  const agent = s.get<DaemonSet>('daemonsets.apps', 'kube-system', 'cilium')
  const container = agent.spec.template.spec.containers[0]!
  assert.deepEqual([container.name, container['command']], ['cilium-agent', ['cilium-agent']])
  assert.ok((container['args'] as string[]).includes('--cgroup-root=/sys/fs/cgroup/cilium-lab/x/$(K8S_NODE_NAME)'))
  assert.deepEqual((container['readinessProbe'] as { httpGet: object }).httpGet, {
    host: '127.0.0.1',
    path: '/healthz',
    port: 9879,
    scheme: 'HTTP',
    httpHeaders: [{ name: 'brief', value: 'true' }],
  })
  assert.deepEqual(s.get<Service>('services', 'kube-system', 'kube-dns').spec.clusterIPs, [
    '10.96.0.10',
    'fd00:10:96::a',
  ])
})

test('a lab of IPv6 only has services and configuration of that family alone', () => {
  const s = applied(settings({ ipv6Only: true, nativeRouting: true }))
  assert.deepEqual(s.get<Service>('services', 'kube-system', 'kube-dns').spec.clusterIPs, ['fd00:10:96::a'])
  const data = s.get('configmaps', 'kube-system', 'cilium-config')['data'] as Record<string, string>
  assert.deepEqual(
    [data['enable-ipv4'], data['enable-ipv6'], data['routing-mode'], data['ipv6-native-routing-cidr']],
    ['false', 'true', 'native', 'fd00:10:244::/56'],
  )
})

test('keys given with --set win over the lab’s own', () => {
  const data = applied(settings({ set: ['enable-policy=always', 'debug=true'] })).get(
    'configmaps',
    'kube-system',
    'cilium-config',
  )['data']
  assert.deepEqual(
    Object.entries(data as object).filter(([k]) => k === 'enable-policy' || k === 'debug'),
    [
      ['debug', 'true'],
      ['enable-policy', 'always'],
    ],
  )
})

test('what can not be meant is refused with a hint', () => {
  for (const typed of [
    { nodes: '0' },
    { nodes: 'many' },
    { name: 'much-too-long-a-name' },
    { image: ['x'] },
    { set: ['=1'] },
  ])
    assert.throws(() => settings(typed), Complaint)
})
