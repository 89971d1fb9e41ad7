// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePod } from '../../model/pod.ts'
import { endpointSlices, nodes, pods, services, settings, sources } from '../../model/rows.ts'
import { type EndpointSlice, parseEndpointSlice, parseService, type Service } from '../../model/service.ts'
import { defaultSettings } from '../../model/settings.ts'
import type { Database } from '../../table/database.ts'
import { openDatabase } from '../../table/open.ts'
import { tables } from '../tables.ts'
import { healthChecks } from './health.ts'
import { backendNumbers, heldServices, serviceNumbers, slotRuns } from './numbers.ts'
import { backendRows, serviceRows, slotRows, sourceRangeRows } from './tables.ts'

const service = (name: string, spec: object): Service => {
  const parsed = parseService({ metadata: { name, namespace: 'default' }, spec })
  assert(parsed.ok)
  return parsed.value
}
const slice = (of: string, addresses: readonly string[], conditions: readonly object[] = []): EndpointSlice => {
  const parsed = parseEndpointSlice({
    metadata: { name: `${of}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: addresses.map((a, i) => ({ addresses: [a], conditions: conditions[i] ?? {} })),
  })
  assert(parsed.ok)
  return parsed.value
}
const web = { clusterIP: '10.96.0.10', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }

function open(): Database {
  const db = openDatabase(tables)
  db.commit((tx) => {
    for (const s of sources) tx.initialised(s)
    tx.put(settings, { ...defaultSettings, nodeName: 'n1' })
  })
  return db
}

/** What the kernel would answer: the backends of a frontend. */
function reached(db: Database, address: string, port: number): readonly string[] {
  const entry = db.all(serviceRows).find((s) => s.address === address && s.port === port)
  const run = entry && db.all(slotRows).find((s) => s.first === entry.slots)
  return (run?.backends.slice(0, entry?.count) ?? []).map((n) => {
    const b = db.get(backendRows, String(n))
    return `${b?.address}:${b?.port}`
  })
}

test('a cluster address leads to the ready endpoints of its service', () => {
  const db = open()
  db.commit((tx) => {
    tx.put(services, service('web', web))
    tx.put(endpointSlices, slice('web', ['10.0.0.1', '10.0.0.2', '10.0.0.3'], [{}, { ready: false }]))
  })
  assert.deepEqual(reached(db, '10.96.0.10', 80), ['10.0.0.1:8080', '10.0.0.3:8080'])
})

test('without endpoints the address is there and leads nowhere; with none ready, those on their way out serve', () => {
  const db = open()
  db.commit((tx) => tx.put(services, service('web', web)))
  assert.equal(db.all(serviceRows)[0]?.count, 0)
  db.commit((tx) =>
    tx.put(endpointSlices, slice('web', ['10.0.0.1'], [{ ready: false, serving: true, terminating: true }])),
  )
  assert.deepEqual(reached(db, '10.96.0.10', 80), ['10.0.0.1:8080'])
})

test('other backends are another run of slots, and numbers given up are not taken at once', () => {
  const db = open()
  db.commit((tx) => {
    tx.put(services, service('web', web))
    tx.put(endpointSlices, slice('web', ['10.0.0.1', '10.0.0.2']))
  })
  const before = db.all(serviceRows)[0]
  const numbers = db.all(backendRows).map((b) => b.backend)
  db.commit((tx) => tx.put(endpointSlices, slice('web', ['10.0.0.2', '10.0.0.9'])))
  const after = db.all(serviceRows)[0]
  assert.equal(after?.id, before?.id)
  assert.ok((after?.slots ?? 0) >= (before?.slots ?? 0) + 2)
  const fresh = db.all(backendRows).find((b) => b.address === '10.0.0.9')
  assert.ok(fresh && !numbers.includes(fresh.backend))
  assert.deepEqual(reached(db, '10.96.0.10', 80), ['10.0.0.2:8080', '10.0.0.9:8080'])
})

test('node ports answer on the node, headless and ExternalName services nowhere', () => {
  const db = open()
  db.commit((tx) => {
    tx.put(nodes, {
      name: 'n1',
      uid: '',
      labels: {},
      annotations: {},
      addresses: [{ type: 'InternalIP', address: '192.168.0.1' }],
      podCIDRs: [],
    })
    tx.put(
      services,
      service('np', {
        type: 'NodePort',
        clusterIP: '10.96.0.11',
        ports: [{ name: 'http', port: 80, nodePort: 30080 }],
      }),
    )
    tx.put(services, service('headless', { clusterIP: 'None', ports: [{ port: 80 }] }))
    tx.put(services, service('elsewhere', { type: 'ExternalName', ports: [{ port: 80 }] }))
    tx.put(endpointSlices, slice('np', ['10.0.0.1']))
  })
  assert.deepEqual(reached(db, '192.168.0.1', 30080), ['10.0.0.1:8080'])
  assert.equal(db.count(serviceRows), 4, 'and on the loopback')
})

test('the wire reaches all but cluster addresses, and with externalTrafficPolicy Local only backends of this node', () => {
  const db = open()
  const external = { type: 'LoadBalancer', externalIPs: ['203.0.113.5'], ports: [{ name: 'http', port: 80 }] }
  const at = (addresses: readonly [string, string][]): EndpointSlice => ({
    ...slice('', []),
    endpoints: addresses.map(([address, nodeName]) => ({
      addresses: [address],
      ready: true,
      serving: true,
      terminating: false,
      nodeName,
      ...{ zone: '', forZones: [], forNodes: [] },
    })),
  })
  const endpoints: [string, string][] = [
    ['10.0.0.1', 'n1'],
    ['10.0.0.2', 'n2'],
  ]
  db.commit((tx) => {
    tx.put(services, service('cluster', { ...external, clusterIP: '10.96.0.20' }))
    tx.put(
      services,
      service('local', {
        ...external,
        clusterIP: '10.96.0.21',
        externalIPs: ['203.0.113.6'],
        externalTrafficPolicy: 'Local',
      }),
    )
    for (const name of ['cluster', 'local']) tx.put(endpointSlices, { ...at(endpoints), name, service: name })
  })
  const seen = db
    .all(serviceRows)
    .map((s) => [s.address, s.scope, s.flags, s.count])
    .sort()
  assert.deepEqual(seen, [
    ['10.96.0.20', 0, 0, 2],
    ['10.96.0.21', 0, 0, 2],
    ['203.0.113.5', 0, 1, 2],
    ['203.0.113.6', 0, 3, 2],
    ['203.0.113.6', 1, 1, 1],
  ])
  const kernel = heldServices(db.all(serviceRows), db.all(slotRows), db.all(backendRows))
  const again = openDatabase(tables)
  again.seed(serviceNumbers, kernel.services)
  assert.equal(again.count(serviceNumbers), 5)
  db.commit((tx) => tx.put(endpointSlices, { ...at(endpoints.slice(1)), name: 'local', service: 'local' }))
  assert.equal(db.get(serviceRows, '203.0.113.6 80/6/1')?.count, 0)
  assert.equal(db.get(serviceRows, '203.0.113.6 80/6/0')?.count, 1)
})

test('of two services that want one address the first by name has it', () => {
  const db = open()
  db.commit((tx) => {
    for (const name of ['b', 'a']) {
      tx.put(services, service(name, web))
      tx.put(endpointSlices, slice(name, [name === 'a' ? '10.0.0.1' : '10.0.0.2']))
    }
  })
  assert.deepEqual(reached(db, '10.96.0.10', 80), ['10.0.0.1:8080'])
})

test('numbers of services, backends and slots are those of the kernel again after a restart, in whatever order facts come', () => {
  const first = open()
  const facts = [
    service('web', web),
    service('api', { clusterIP: '10.96.0.11', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }),
  ]
  const slices = [slice('web', ['10.0.0.1', '10.0.0.2']), slice('api', ['10.0.0.3', '10.0.0.4'])]
  for (const s of facts) first.commit((tx) => tx.put(services, s))
  for (const s of slices) first.commit((tx) => tx.put(endpointSlices, s))
  const kernel = () => [first.all(serviceRows), first.all(slotRows), first.all(backendRows)] as const

  const next = openDatabase(tables)
  const held = heldServices(...kernel())
  next.seed(serviceNumbers, held.services)
  next.seed(slotRuns, held.runs)
  next.seed(backendNumbers, held.backends)
  next.commit((tx) => tx.put(settings, { ...defaultSettings, nodeName: 'n1' }))
  next.commit((tx) => tx.put(services, service('new', { ...web, clusterIP: '10.96.0.9' })))
  next.commit((tx) => tx.put(endpointSlices, slice('new', ['10.0.0.9', '10.0.0.3'])))
  for (const s of [...slices].reverse()) next.commit((tx) => tx.put(endpointSlices, s))
  for (const s of [...facts].reverse()) next.commit((tx) => tx.put(services, s))
  next.commit((tx) => {
    for (const s of sources) tx.initialised(s)
  })
  for (const row of first.all(serviceRows)) assert.deepEqual(next.get(serviceRows, `${row.address} 80/6/0`), row)
  for (const row of first.all(slotRows)) assert.deepEqual(next.get(slotRows, String(row.first)), row)
  for (const row of first.all(backendRows)) assert.deepEqual(next.get(backendRows, String(row.backend)), row)
  assert.deepEqual([...reached(next, '10.96.0.9', 80)].sort(), ['10.0.0.3:8080', '10.0.0.9:8080'])
  assert.deepEqual(
    next.all(slotRuns).filter((r) => r.frontend.startsWith('kernel ')),
    [],
    'what the kernel held is forgotten once all is known',
  )
})

test('a host port of a pod of this node leads to the pod, on the address it names or on all, while the pod lives', () => {
  const db = open()
  const parse = (name: string, nodeName: string, ports: readonly object[], phase = 'Running') => {
    const pod = parsePod({
      metadata: { name, namespace: 'default', uid: name },
      spec: { nodeName, containers: [{ ports }] },
      status: { phase, podIPs: [{ ip: '10.0.0.7' }, { ip: 'fd00::7' }] },
    })
    assert(pod.ok)
    return pod.value
  }
  const web = { containerPort: 8080, hostPort: 4000 }
  db.commit((tx) => {
    tx.put(nodes, {
      name: 'n1',
      uid: '',
      labels: {},
      annotations: {},
      podCIDRs: [],
      addresses: [
        { type: 'InternalIP', address: '192.0.2.1' },
        { type: 'InternalIP', address: '2001:db8::1' },
        { type: 'Hostname', address: 'n1' },
      ],
    })
    tx.put(pods, parse('web', 'n1', [web, { containerPort: 53, hostPort: 4001, hostIP: '192.0.2.1', protocol: 'UDP' }]))
    tx.put(pods, parse('far', 'n2', [{ containerPort: 8080, hostPort: 4002 }]))
  })
  assert.deepEqual(reached(db, '192.0.2.1', 4000), ['10.0.0.7:8080'])
  assert.deepEqual(reached(db, '2001:db8::1', 4000), ['fd00::7:8080'])
  assert.deepEqual(reached(db, '192.0.2.1', 4001), ['10.0.0.7:53'])
  assert.equal(db.all(serviceRows).length, 5, 'and the loopback for programs of the node')
  db.commit((tx) => tx.put(pods, parse('web', 'n1', [web], 'Succeeded')))
  assert.equal(db.all(serviceRows).length, 0)
})

test('affinity and ranges of sources are followed, ranges by addresses of load balancers of their family alone', () => {
  const db = open()
  const spec = {
    ...{ clusterIP: '10.96.0.10', ports: web.ports, type: 'LoadBalancer', sessionAffinity: 'ClientIP' },
    ...{ sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }, externalIPs: ['192.0.2.9'] },
    loadBalancerSourceRanges: [' 198.51.100.7/24', 'no prefix'],
  }
  const parsed = parseService({
    ...{ metadata: { name: 'web', namespace: 'default' }, spec },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.5' }, { ip: '2001:db8::5' }] } },
  })
  assert(parsed.ok)
  db.commit((tx) => tx.put(services, parsed.value))
  const rows = db.all(serviceRows)
  assert.deepEqual(
    new Set(rows.map((r) => `${r.address} ${r.affinity} ${r.flags}`)),
    new Set(['10.96.0.10 60 0', '192.0.2.9 60 1', '203.0.113.5 60 5', '2001:db8::5 60 1']),
  )
  const id = rows.find((r) => r.address === '203.0.113.5')?.id
  assert.deepEqual(db.all(sourceRangeRows), [{ id, prefix: '198.51.100.0/24' }])
})

test('services of another proxy are left to it, and those labelled headless to their clients', () => {
  const db = open()
  const labels = { 'service.kubernetes.io/service-proxy-name': 'another' }
  const parsed = parseService({ metadata: { name: 'web', namespace: 'default', labels }, spec: web })
  assert(parsed.ok)
  db.commit((tx) => tx.put(services, parsed.value))
  assert.equal(db.count(serviceRows), 0)
  db.commit((tx) => tx.put(settings, { ...defaultSettings, nodeName: 'n1', k8sServiceProxyName: 'another' }))
  assert.equal(db.count(serviceRows), 1)
  db.commit((tx) => tx.put(services, service('web', web)))
  assert.equal(db.count(serviceRows), 0)
  db.commit((tx) => tx.put(settings, { ...defaultSettings, nodeName: 'n1' }))
  assert.equal(db.count(serviceRows), 1)
  const headless = { ...service('web', web), labels: { 'service.kubernetes.io/headless': '' } }
  db.commit((tx) => tx.put(services, headless))
  assert.equal(db.count(serviceRows), 0)
})

/** Endpoints of n1 (zone a), n2 (zone a) and n3 (zone b), with hints as Kubernetes' controller gives them. */
function hinted(forNodes: boolean, conditions: readonly object[] = []): EndpointSlice {
  const parsed = parseEndpointSlice({
    metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [
      ['n1', 'a'],
      ['n2', 'a'],
      ['n3', 'b'],
    ].map(([nodeName, zone], i) => ({
      addresses: [`10.0.0.${i + 1}`],
      nodeName,
      zone,
      conditions: conditions[i] ?? {},
      hints: { forZones: [{ name: zone }], ...(forNodes ? { forNodes: [{ name: nodeName }] } : {}) },
    })),
  })
  assert(parsed.ok)
  return parsed.value
}

test('where topology counts, endpoints are those for this node, else for its zone, else all', () => {
  const db = open()
  const gone = { ready: false }
  const on = (zone: string, slice: EndpointSlice, enableServiceTopology = true) => {
    db.commit((tx) => {
      tx.put(settings, { ...defaultSettings, nodeName: 'n1', enableServiceTopology })
      const labels = zone === '' ? {} : { 'topology.kubernetes.io/zone': zone }
      tx.put(nodes, { name: 'n1', uid: '', labels, annotations: {}, addresses: [], podCIDRs: [] })
      tx.put(services, service('web', web))
      tx.put(endpointSlices, slice)
    })
    return reached(db, '10.96.0.10', 80).map((b) => b.replace('10.0.0.', '').replace(':8080', ''))
  }
  assert.deepEqual(on('a', hinted(false), false), ['1', '2', '3'], 'off unless asked for')
  assert.deepEqual(on('a', hinted(false)), ['1', '2'])
  assert.deepEqual(on('b', hinted(false)), ['3'])
  assert.deepEqual(on('c', hinted(false)), ['1', '2', '3'], 'nobody is for this zone')
  assert.deepEqual(on('', hinted(false)), ['1', '2', '3'], 'a node without a zone')
  assert.deepEqual(on('a', hinted(true)), ['1'])
  assert.deepEqual(on('a', hinted(true, [gone])), ['2'])
  assert.deepEqual(on('a', hinted(true, [gone, gone])), ['3'])
  const some = hinted(false)
  const [first, ...rest] = some.endpoints
  const half = { ...some, endpoints: [{ ...(first as (typeof rest)[0]), forZones: [] }, ...rest] }
  assert.deepEqual(on('a', half), ['1', '2', '3'], 'one without a hint')
  const ending = { ready: false, serving: true, terminating: true }
  assert.deepEqual(on('a', hinted(true, [ending, ending, ending])), ['1', '2', '3'], 'those on their way out')
})

test('load balancers are told of the ready endpoints of this node, a pod of two families counted once', () => {
  const db = open()
  const ports = [{ name: 'http', port: 80, nodePort: 30080 }]
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', clusterIP: '10.96.0.11', ports }
  const v6 = { name: 'web-6', addressType: 'IPv6' }
  const put = (slice: EndpointSlice, healthCheckNodePort = 32000) =>
    db.commit((tx) => {
      tx.put(services, service('web', { ...spec, healthCheckNodePort }))
      tx.put(endpointSlices, slice)
      const endpoints = slice.endpoints.map((e, i) => ({ ...e, addresses: [`fd00::${i + 1}`] }))
      tx.put(endpointSlices, { ...slice, ...v6, endpoints })
    })
  put(hinted(false))
  assert.deepEqual(db.all(healthChecks), [{ namespace: 'default', name: 'web', port: 32000, localEndpoints: 1 }])
  put(hinted(false, [{ ready: false, serving: true, terminating: true }]))
  assert.equal(db.get(healthChecks, 'default/web')?.localEndpoints, 0)
  put(hinted(false), 0)
  assert.equal(db.count(healthChecks), 0)
  put(hinted(false))
  assert.equal(db.count(healthChecks), 1)
  for (const off of [{ enableHealthCheckNodeport: false }, { kubeProxyReplacement: false }]) {
    db.commit((tx) => tx.put(settings, { ...defaultSettings, nodeName: 'n1', ...off }))
    assert.equal(db.count(healthChecks), 0)
  }
})
