// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointRequest, HeldEndpoint } from '../../model/endpoint.ts'
import { ciliumNodes, endpointRequests, settings, sources } from '../../model/rows.ts'
import { defaultSettings } from '../../model/settings.ts'
import type { Database } from '../../table/database.ts'
import { openDatabase } from '../../table/open.ts'
import { gatewayOf } from '../ipam/tables.ts'
import { tables } from '../tables.ts'
import { endpoints } from './tables.ts'

const request = (n: number | string, held?: HeldEndpoint): EndpointRequest => ({
  containerId: `c${n}`,
  ifname: 'eth0',
  netns: '',
  namespace: 'default',
  podName: `p${n}`,
  podUid: '',
  ...(held ? { held } : {}),
})

function open(...podCIDRs: string[]): Database {
  const db = openDatabase(tables)
  db.commit((tx) => {
    for (const s of sources) tx.initialised(s)
    tx.put(settings, { ...defaultSettings, nodeName: 'n1', enableIpv6: podCIDRs.some((p) => p.includes(':')) })
    tx.put(ciliumNodes, {
      name: 'n1',
      uid: '',
      resourceVersion: '',
      addresses: [],
      podCIDRs,
      healthAddresses: [],
      ingressAddresses: [],
      bootId: '',
    })
  })
  return db
}
const addresses = (db: Database): readonly string[] => db.all(endpoints).map((e) => e.ipv4)

test('pods get distinct addresses, never the network, the gateway or the broadcast address', () => {
  const db = open('10.1.0.0/29', 'fd00::/120')
  db.commit((tx) => {
    for (let i = 0; i < 6; i++) tx.put(endpointRequests, request(i))
  })
  const given = addresses(db).filter((a) => a !== '')
  assert.deepEqual([...given].sort(), ['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6'])
  assert.equal(new Set(db.all(endpoints).map((e) => e.ipv6)).size, 6)
  const short = db.all(endpoints).find((e) => e.ipv4 === '')
  assert.match(short?.problem ?? '', /pool is empty \(10\.1\.0\.0\/29/)
  assert.equal(gatewayOf(db, 'n1', 4), '10.1.0.1')
})

test('an address that is given up rests until the others have been used', () => {
  const db = open('10.1.0.0/29')
  const seen: string[] = []
  for (let i = 0; i < 5; i++) {
    db.commit((tx) => tx.put(endpointRequests, request(i)))
    seen.push(...addresses(db))
    db.commit((tx) => tx.remove(endpointRequests, `c${i}:eth0`))
  }
  assert.equal(new Set(seen).size, 5)
})

test('restored endpoints keep addresses and ids, whoever asks first', () => {
  const db = open('10.1.0.0/29')
  db.commit((tx) => {
    tx.put(endpointRequests, request('a'))
    tx.put(endpointRequests, request('z', { id: 77, ipv4: '10.1.0.2', ipv6: '' }))
  })
  const z = db.get(endpoints, 'cz:eth0')
  assert.deepEqual([z?.id, z?.ipv4], [77, '10.1.0.2'])
  assert.equal(db.get(endpoints, 'ca:eth0')?.ipv4, '10.1.0.3')
})

test('without a prefix the endpoint says who gives one, and gets its address when it comes', () => {
  const db = open()
  db.commit((tx) => tx.put(endpointRequests, request(1)))
  assert.match(db.all(endpoints)[0]?.problem ?? '', /no pod prefix yet/)
  db.commit((tx) => {
    const node = db.get(ciliumNodes, 'n1')
    if (node) tx.put(ciliumNodes, { ...node, podCIDRs: ['10.2.0.0/24'] })
  })
  assert.deepEqual(addresses(db), ['10.2.0.2'])
})
