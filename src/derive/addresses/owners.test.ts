// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CiliumEndpoint } from '../../model/endpoint.ts'
import { ciliumEndpoints, settings, sources } from '../../model/rows.ts'
import { defaultSettings } from '../../model/settings.ts'
import { openDatabase } from '../../table/open.ts'
import { tables } from '../tables.ts'
import { ownerRows } from './tables.ts'

const said = (name: string, identity: number, addresses: readonly string[]): CiliumEndpoint => ({
  namespace: 'default',
  name,
  uid: name,
  resourceVersion: '1',
  identity,
  addresses,
  node: '192.168.0.2',
  state: 'ready',
  namedPorts: [],
})

test('objects that claim one address, alike or not, give it one owner, and the other one back when that is gone', () => {
  const db = openDatabase(tables)
  const identity = () => db.get(ownerRows, '10.0.1.1')?.identity
  db.commit((tx) => {
    for (const s of sources) tx.initialised(s)
    tx.put(settings, { ...defaultSettings, nodeName: 'n1' })
    tx.put(ciliumEndpoints, said('a', 300, ['10.0.1.1', '10.0.1.1', '::ffff:10.0.1.1', 'not an address']))
  })
  assert.equal(identity(), 300)
  db.commit((tx) => tx.put(ciliumEndpoints, said('b', 300, ['10.0.1.1'])))
  db.commit((tx) => tx.put(ciliumEndpoints, said('c', 301, ['10.0.1.1'])))
  assert.equal(identity(), 301, 'the last by name')
  db.commit((tx) => tx.remove(ciliumEndpoints, 'default/c'))
  db.commit((tx) => tx.remove(ciliumEndpoints, 'default/a'))
  assert.equal(identity(), 300)
  db.commit((tx) => tx.remove(ciliumEndpoints, 'default/b'))
  assert.equal(identity(), undefined)
})
