// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Names, resolvConf } from './container.ts'
import { expand } from './environment.ts'
import type { Container, ContainerState, Pod, PodSpec } from './manifest.ts'
import { capabilitiesOf, identityOf } from './security.ts'
import { type PodFindings, phaseOf, podStatus, qosClass } from './status.ts'

const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: 'u' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})
const container = (state: ContainerState, more = {}) => ({
  name: 'c',
  state,
  lastState: {},
  ready: state.running !== undefined,
  restartCount: 0,
  image: 'i',
  imageID: 'i',
  ...more,
})
const running = container({ running: { startedAt: 'then' } })
const ended = (exitCode: number) =>
  container({ terminated: { exitCode, reason: 'x', startedAt: 'a', finishedAt: 'b', containerID: 'c' } })
const found = (more: Partial<PodFindings>): PodFindings => ({
  init: [],
  main: [running],
  ephemeral: [],
  initialized: true,
  finished: false,
  sandbox: true,
  podIPs: ['10.0.0.1', 'fd00::1'],
  hostIPs: ['192.0.2.1'],
  startTime: 0,
  ...more,
})

test('the phase follows what the containers do', () => {
  const waiting = container({ waiting: { reason: 'ContainerCreating' } })
  const backOff = container({ waiting: { reason: 'CrashLoopBackOff' } }, { restartCount: 3 })
  assert.equal(phaseOf(pod(), found({ initialized: false })), 'Pending')
  assert.equal(phaseOf(pod(), found({ main: [running, waiting] })), 'Pending')
  assert.equal(phaseOf(pod(), found({})), 'Running')
  assert.equal(phaseOf(pod(), found({ main: [backOff] })), 'Running')
  assert.equal(phaseOf(pod(), found({ finished: true, main: [ended(0), ended(0)] })), 'Succeeded')
  assert.equal(phaseOf(pod(), found({ finished: true, main: [ended(0), ended(2)] })), 'Failed')
  assert.equal(phaseOf(pod(), found({ finished: true, initialized: false, main: [waiting] })), 'Failed')
  assert.equal(phaseOf(pod(), found({ failure: { reason: 'DeadlineExceeded', message: '' } })), 'Failed')
})

test('conditions keep their transition time while they do not change, and foreign ones stay', () => {
  const first = podStatus(pod(), found({ main: [container({ waiting: { reason: 'x' } })] }), 1_000_000)
  const mine = { type: 'example.com/gate', status: 'True' as const }
  const before = { ...pod(), status: { ...first, conditions: [...(first.conditions ?? []), mine] } }
  const second = podStatus(before, found({}), 2_000_000)
  const time = (status: typeof first, type: string) =>
    status.conditions?.find((c) => c.type === type)?.lastTransitionTime
  assert.equal(time(second, 'Initialized'), time(first, 'Initialized'))
  assert.notEqual(time(second, 'Ready'), time(first, 'Ready'))
  assert.ok(second.conditions?.includes(mine))
  assert.deepEqual([second.podIP, second.podIPs], ['10.0.0.1', [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }]])
})

test('a pod with a readiness gate is ready only when its condition is true', () => {
  const gated = pod({ readinessGates: [{ conditionType: 'example.com/gate' }] })
  const ready = (p: Pod) => podStatus(p, found({}), 0).conditions?.find((c) => c.type === 'Ready')
  assert.deepEqual([ready(gated)?.status, ready(gated)?.reason], ['False', 'ReadinessGatesNotReady'])
  const open = { ...gated, status: { conditions: [{ type: 'example.com/gate', status: 'True' as const }] } }
  assert.equal(ready(open)?.status, 'True')
})

test('the quality of service is guaranteed when all limits are set and requests equal them', () => {
  const withResources = (resources: Container['resources']) =>
    qosClass(pod({ containers: [{ name: 'c', image: 'i', ...(resources ? { resources } : {}) }] }))
  assert.equal(withResources(undefined), 'BestEffort')
  assert.equal(withResources({ limits: { cpu: '1', memory: '1Gi' } }), 'Guaranteed')
  assert.equal(withResources({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }), 'Burstable')
  assert.equal(withResources({ requests: { cpu: '1' } }), 'Burstable')
})

test('variables expand once, unknown ones stay, two dollars are one', () => {
  const known = new Map([
    ['A', '$(B)'],
    ['B', 'b'],
  ])
  assert.equal(expand('$(A) $(B) $(C) $$(B) $$', known), '$(B) b $(C) $(B) $')
})

test('capabilities: the usual set, added, dropped, all; a wrong name is refused', () => {
  const of = (securityContext: Container['securityContext']) =>
    capabilitiesOf({ name: 'c', image: 'i', ...(securityContext ? { securityContext } : {}) })
  assert.equal(of(undefined), 'a80425fb')
  assert.equal(of({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }), '400')
  assert.equal(of({ capabilities: { add: ['NET_ADMIN'], drop: ['CHOWN'] } }), 'a80435fa')
  assert.equal(of({ privileged: true }), undefined)
  assert.throws(() => of({ capabilities: { add: ['FLY'] } }), /unknown capability "FLY"/)
})

test('a container that must not be root and has no user is refused', () => {
  const c: Container = { name: 'c', image: 'i', securityContext: { runAsNonRoot: true } }
  assert.throws(() => identityOf(pod(), c), /runAsNonRoot/)
  assert.deepEqual(identityOf(pod({ securityContext: { runAsUser: 7, fsGroup: 9 } }), c), {
    uid: 7,
    gid: 0,
    groups: ['0', '9'],
  })
})

test('resolv.conf follows the DNS policy', () => {
  const names: Names = {
    clusterDns: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    hostHosts: '',
    hostResolv: 'nameserver 192.0.2.1\nsearch x.test\n',
  }
  assert.equal(
    resolvConf(pod(), names),
    'search n.svc.cluster.local svc.cluster.local cluster.local x.test\nnameserver 10.96.0.10\noptions ndots:5\n',
  )
  assert.equal(resolvConf(pod({ hostNetwork: true }), names), 'search x.test\nnameserver 192.0.2.1\n')
  assert.match(resolvConf(pod({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), names), /10\.96\.0\.10/)
  const own = { nameservers: ['192.0.2.9'], options: [{ name: 'ndots', value: '2' }] }
  assert.equal(resolvConf(pod({ dnsPolicy: 'None', dnsConfig: own }), names), 'nameserver 192.0.2.9\noptions ndots:2\n')
})
