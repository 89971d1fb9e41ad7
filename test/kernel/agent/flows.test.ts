// SPDX-License-Identifier: Apache-2.0
// What the agent reads out of the flow table.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Flow, FlowFlags, flowLayout, maps } from '../../../gen/contract.ts'
import { connectedAddresses, flowSweeper } from '../../../src/apps/agent/flows.ts'
import { address } from '../../../src/base/ip.ts'
import { contractMap } from '../../../src/edge/kernel/map.ts'
import { loadObject } from '../../../src/edge/kernel/object.ts'

const root = new URL('../../..', import.meta.url).pathname

test('an address is in use while an open connection leads to it, from either side of the key', async (t) => {
  const sizes = { cilium_events: 4096, cilium_flows: 4096, cilium_nat: 64, cilium_fragments: 64 }
  const object = loadObject(join(root, 'build/bpf/pod.o'), { maxEntries: sizes })
  t.after(() => object.close())
  const flows = contractMap(maps.cilium_flows, object.map('cilium_flows'))
  const nothing = flowLayout.read(new DataView(new ArrayBuffer(flowLayout.size)), 0)
  const put = (a: string, b: string, more: Partial<Flow> = {}) =>
    flows.put({ a: address(a), b: address(b), portA: 1, portB: 2, protocol: 6 }, { ...nothing, ...more })
  put('10.0.0.5', '192.0.2.1')
  put('10.0.0.5', '192.0.2.2', { closing: 3 })
  put('10.0.0.5', '192.0.2.3', { closing: 1 })
  put('2001:db8::7', 'fd00::5')
  // The same last word as an address that is asked about.
  put('2001:db8::c000:209', 'fd00::5')
  for (let i = 0; i < 1500; i++) put('10.0.0.5', `198.51.${100 + (i >> 8)}.${i & 255}`)
  const asked = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.9', '2001:db8::7', '198.51.105.1']
  assert.deepEqual([...(await connectedAddresses(object, asked))].sort(), [
    '192.0.2.1',
    '192.0.2.3',
    '198.51.105.1',
    '2001:db8::7',
  ])
})

test('what is silent too long is swept: soon where nobody answered, late where an entry of a service sees no answers', async (t) => {
  const object = loadObject(join(root, 'build/bpf/host.o'), {
    maxEntries: { cilium_events: 4096, cilium_flows: 64, cilium_nat: 64, cilium_fragments: 64 },
  })
  t.after(() => object.close())
  const flows = contractMap(maps.cilium_flows, object.map('cilium_flows'))
  const nothing = flowLayout.read(new DataView(new ArrayBuffer(flowLayout.size)), 0)
  const put = (a: string, more: Partial<Flow>) =>
    flows.put(
      { a: address(a), b: address('192.0.2.1'), portA: 1, portB: 2, protocol: 6 },
      // Of a time that is to come: as far from now as any that has been.
      { ...nothing, seen: 0x80000000, ...more },
    )
  put('10.0.0.1', {})
  put('10.0.0.2', { packets: [1, 1] })
  put('10.0.0.3', { flags: FlowFlags.FLOW_SERVICE })
  put('10.0.0.4', { flags: FlowFlags.FLOW_SERVICE, closing: 1 })
  const never = 1e12
  const sweep = flowSweeper(object, {
    'bpf-ct-timeout-regular-tcp': never,
    'bpf-ct-timeout-regular-tcp-syn': 60,
    'bpf-ct-timeout-regular-any': never,
  })
  assert.equal((await sweep(object.program('clock'))).deleted, 2)
  assert.deepEqual([...flows.entries()].map(([key]) => key.a[15]).sort(), [2, 3])
})
