// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Event, EventKind, eventLayout } from '../../gen/contract.ts'
import { address } from '../base/ip.ts'
import { type ClosedFlows, closedFlows } from './closed.ts'

const TCP = 6
const place = (text: string, port: number) => ({ address: address(text), port })
const client = place('192.0.2.1', 40000)
const server = place('10.0.0.10', 80)

/** Hands a record over as it lies in the ring buffer, among others. */
function tell(flows: ClosedFlows, record: Partial<Event>, length: number = eventLayout.size): void {
  const offset = 24
  const view = new DataView(new ArrayBuffer(offset + eventLayout.size))
  const [source, destination] = [client, server]
  eventLayout.write(view, offset, {
    ...eventLayout.read(view, offset),
    ...{ kind: EventKind.EVENT_CLOSE, protocol: TCP, proxyPort: 12345 },
    ...{ source: source.address, sourcePort: source.port, sourceIdentity: 9 },
    ...{ destination: destination.address, destinationPort: destination.port, destinationIdentity: 1001 },
    ...record,
  })
  flows.take(view, offset, length)
}
/** The same connection, whose last packet was the server's. */
const answered = {
  ...{ source: server.address, sourcePort: server.port, sourceIdentity: 1001 },
  ...{ destination: client.address, destinationPort: client.port, destinationIdentity: 9 },
}
const identities = (flows: ClosedFlows, from = client, protocol = TCP) => [
  flows.identityOf(from, server, protocol),
  flows.identityOf(server, from, protocol),
]

test('both ends of a connection are known by its end, whoever spoke last', () => {
  for (const last of [{}, answered]) {
    const flows = closedFlows()
    tell(flows, last)
    assert.deepEqual(identities(flows), [9, 1001])
  }
})

test('other connections are not: of another port, address or protocol', () => {
  const flows = closedFlows()
  tell(flows, {})
  assert.deepEqual(identities(flows, place('192.0.2.1', 40001)), [0, 0])
  assert.deepEqual(identities(flows, place('2001:db8::1', 40000)), [0, 0])
  assert.deepEqual(identities(flows, client, 17), [0, 0])
})

test('what tells of no end, of nothing the proxy had, or is too short is not remembered', () => {
  const flows = closedFlows()
  tell(flows, { kind: EventKind.EVENT_NEW })
  tell(flows, { kind: EventKind.EVENT_DROP })
  tell(flows, { proxyPort: 0 })
  tell(flows, {}, eventLayout.size - 1)
  assert.deepEqual(identities(flows), [0, 0])
})

test('the last connection between two ends counts, whichever way its last packet went', () => {
  const flows = closedFlows()
  tell(flows, {})
  tell(flows, { ...answered, destinationIdentity: 6 })
  assert.deepEqual(identities(flows), [6, 1001])
})

test('of too many the oldest are forgotten; one that comes again is new', () => {
  const flows = closedFlows(2)
  for (const sourcePort of [40000, 40001, 40000, 40002]) tell(flows, { sourcePort })
  assert.deepEqual(identities(flows), [9, 1001])
  assert.deepEqual(identities(flows, place('192.0.2.1', 40001)), [0, 0])
  assert.deepEqual(identities(flows, place('192.0.2.1', 40002)), [9, 1001])
})
