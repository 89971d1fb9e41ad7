// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as rows from '../../model/rows.ts'
import { parseEndpointSlice, parseService } from '../../model/service.ts'
import { answeringSockets, datapathConfig } from './datapath.ts'
import { fakeNode, NODE } from './fake-node.ts'
import { nodeDeeds } from './kube-objects.ts'
import { nodeFacts } from './node-facts.ts'
import { configOf } from './programs.ts'

test("the node's facts are its addresses, its wire and its gateways", (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const facts = db.get(nodeFacts, 'node')
  assert.deepEqual(facts, {
    ipv4: '172.30.0.2',
    ipv6: '',
    gateway4: '10.244.0.1',
    gateway6: 'fd00:10:244::1',
    wire: 2,
    wireName: 'eth0',
    wireMtu: 1500,
    podMtu: 1450,
    podCIDRs: ['10.244.0.0/29', 'fd00:10:244::/64'],
  })
})

test('a Node or CiliumNode that is deleted takes no network away, and comes back with its prefixes', (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const before = db.get(nodeFacts, 'node')
  db.commit((tx) => tx.remove(rows.ciliumNodes, NODE))
  assert.deepEqual(db.get(nodeFacts, 'node'), before)
  const deed = db.get(nodeDeeds, NODE)
  assert.equal(deed?.exists, false)
  assert.deepEqual(deed?.podCIDRs, before?.podCIDRs)
  db.commit((tx) => tx.remove(rows.nodes, NODE))
  assert.deepEqual(db.get(nodeFacts, 'node'), before)
})

test('the CiliumNode is written until it says what the node is, then left alone', (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const deed = db.get(nodeDeeds, NODE)
  assert.deepEqual(
    deed?.addresses.map((a) => `${a.type} ${a.address}`),
    ['InternalIP 172.30.0.2', 'CiliumInternalIP 10.244.0.1', 'CiliumInternalIP fd00:10:244::1'],
  )
  assert.equal(deed?.podCIDRs, undefined, 'prefixes are the business of the operator')
  const there = db.get(rows.ciliumNodes, NODE)
  assert.ok(there && deed)
  db.commit((tx) => tx.put(rows.ciliumNodes, { ...there, addresses: deed.addresses }))
  assert.equal(db.get(nodeDeeds, NODE), undefined)
})

test('another MTU of the wire is another configuration of the programs', (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const wire = db.get(rows.devices, '2')
  assert.ok(wire)
  db.commit((tx) => tx.put(rows.devices, { ...wire, mtu: 9000 }))
  const row = db.get(datapathConfig, 'datapath')
  assert.ok(row)
  const config = configOf(row, { 'bpf-ct-timeout-regular-tcp': 8000 })
  assert.deepEqual([config.wireMtu, config.tunnelMtu, config.tunnel, config.tcpTimeout], [9000, 8950, 1, 8000])
  assert.deepEqual(
    [config.masqueradeIpv4, config.masqueradeIpv6],
    [1, 0],
    'no masquerade without an address to hide behind',
  )
  assert.deepEqual([...config.gatewayMac], [2, 0, 0, 0, 0, 1])
})

test('in native routing mode packets of pods use the whole wire', (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const config = db.get(rows.settings, 'settings')
  assert.ok(config)
  db.commit((tx) => tx.put(rows.settings, { ...config, routingMode: 'native' }))
  assert.equal(db.get(nodeFacts, 'node')?.podMtu, 1500)
})

test('what the node sends is looked at where its sockets answer by another name: datagrams, and external addresses', (t) => {
  const { db, scope } = fakeNode()
  t.after(() => scope.close())
  const serve = (
    name: string,
    protocol: string,
    nodePort: number,
    backend: string,
    externalIPs: readonly string[] = [],
  ) => {
    const ports = [{ port: 80, protocol, nodePort }]
    const service = parseService({
      metadata: { name, namespace: 'default' },
      spec: { type: 'NodePort', clusterIP: `10.96.0.${nodePort % 100}`, ports, externalIPs },
    })
    const slice = parseEndpointSlice({
      metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
      ...{ addressType: 'IPv4', ports: [{ port: 8080, protocol }], endpoints: [{ addresses: [backend] }] },
    })
    assert(service.ok && slice.ok)
    db.commit((tx) => {
      tx.put(rows.services, service.value)
      tx.put(rows.endpointSlices, slice.value)
    })
  }
  const answering = () => db.all(answeringSockets).map((a) => a.frontend)
  serve('connections', 'TCP', 30001, '172.30.0.2')
  serve('pod', 'UDP', 30002, '10.244.0.5')
  assert.deepEqual(answering(), [])
  serve('datagrams', 'UDP', 30003, '172.30.0.2')
  serve('external', 'TCP', 30004, '172.30.0.2', ['203.0.113.9'])
  assert.deepEqual(answering().sort(), ['172.30.0.2 30003/UDP', '203.0.113.9 80/TCP'])
})
