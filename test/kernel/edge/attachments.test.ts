// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { test } from 'node:test'
import type { Layout } from '../../../gen/contract.ts'
import { u32Layout } from '../../../gen/contract.ts'
import { type AttachmentRow, attachmentKey, attachmentTarget, detachAll } from '../../../src/edge/kernel/attachments.ts'
import { attachInterface, detachLink, linkInfo, openPinned, pin, programInfo } from '../../../src/edge/kernel/link.ts'
import { BpfMap, perCpu } from '../../../src/edge/kernel/map.ts'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { type LoadedObject, loadObject } from '../../../src/edge/kernel/object.ts'
import { findCgroup2 } from '../../../src/edge/kernel/probe.ts'
import { KernelError } from '../../../src/edge/kernel/syscall.ts'
import { table } from '../../../src/table/definition.ts'
import type { Target } from '../../../src/table/target.ts'
import { conforms } from './conformance.ts'
import { afterwards, compile, fixtureSource, type Test, workplace } from './fixture.ts'

const u64: Layout<number> = {
  size: 8,
  read: (view, offset) => view.getUint32(offset, true),
  write: (view, offset, value) => view.setUint32(offset, value, true),
}
const attachments = table<AttachmentRow>('attachments', { key: attachmentKey })

/** A pair of devices between two namespaces, packets going from `b` to `a` by `send`. */
function pair(t: Test) {
  const [a, b] = [newNamespace(), newNamespace()]
  const [netA, netB] = [inNamespace(a, net.openNetlink), inNamespace(b, net.openNetlink)]
  net.createLink(netA, {
    kind: 'veth',
    name: 'kt-a',
    mac: '02:00:00:00:00:01',
    up: true,
    peer: { name: 'eth0', namespace: b },
  })
  const device = net.linkByName(netA, 'kt-a')!.index
  const far = net.linkByName(netB, 'eth0')!.index
  net.changeLink(netB, far, { up: true })
  net.putAddress(netB, { device: far, address: '10.0.0.2/24' })
  net.putNeighbour(netB, { device: far, address: '10.0.0.1', mac: '02:00:00:00:00:01' })
  afterwards(t, () => {
    for (const netlink of [netA, netB]) netlink.close()
    for (const fd of [a, b]) closeSync(fd)
  })
  const send = (): void => void inNamespace(b, () => execFileSync('bash', ['-c', 'echo x > /dev/udp/10.0.0.1/9']))
  return { a, netA, device, send }
}

/** A loaded fixture and how many packets its program has counted. */
function program(t: Test, dir: string): { object: LoadedObject; counted(): number } {
  const object = loadObject(compile(dir, fixtureSource))
  afterwards(t, () => object.close())
  const counts = new BpfMap('kt_counts', object.map('kt_counts'), u32Layout, perCpu(u64))
  return { object, counted: () => counts.get(0)!.reduce((sum, each) => sum + each, 0) }
}

conforms<AttachmentRow>('attachments', (t) => {
  const { dir, pins } = workplace(t)
  const { a, device } = pair(t)
  const cgroup = `${findCgroup2()}/kt-${process.pid}`
  mkdirSync(cgroup, { recursive: true })
  const { programs } = loadObject(compile(dir, fixtureSource))
  afterwards(t, () => {
    detachAll(`${pins}/links`)
    rmdirSync(cgroup)
  })
  const inside = () => {
    const target: Target<AttachmentRow> = attachmentTarget(attachments, `${pins}/links`, programs)
    return { ...target, write: (rows: readonly AttachmentRow[]) => inNamespace(a, () => target.write(rows)) }
  }
  return {
    target: inside(),
    again: inside,
    rows: [
      { kind: 'device', device, direction: 'ingress', program: 'count_and_mark' },
      { kind: 'device', device, direction: 'egress', program: 'count_and_mark' },
      { kind: 'cgroup', directory: cgroup, point: 'connect4', program: 'refuse_connect' },
    ],
    changed: (row) => (row.kind === 'device' ? { ...row, program: 'send_events' } : row),
  }
})

test('a program sees the packets of its device, and one loaded anew takes its place in the same link', async (t) => {
  const { dir, pins } = workplace(t)
  const { a, device, send } = pair(t)
  const [first, second] = [program(t, dir), program(t, dir)]
  const row: AttachmentRow = { kind: 'device', device, direction: 'ingress', program: 'count_and_mark' }
  const open = (programs: ReadonlyMap<string, number>) => attachmentTarget(attachments, `${pins}/links`, programs)

  const before = open(first.object.programs)
  assert.deepEqual(await inNamespace(a, () => before.write([row])), [{ ok: true }])
  send()
  const seen = first.counted()
  assert.ok(seen > 0)

  const link = (): number => {
    const fd = openPinned(`${pins}/links/${attachmentKey(row)}`)!
    const { id } = linkInfo(fd)
    closeSync(fd) // it would keep the link
    return id
  }
  const id = link()
  const after = open(second.object.programs)
  const there = await after.load()
  assert.equal(there.length, 1)
  assert.equal(after.equal(there[0]!, row), false, 'a program of the same name from another load is another')
  assert.deepEqual(await inNamespace(a, () => after.write([row])), [{ ok: true }])
  assert.equal(link(), id)
  const last = first.counted()
  send()
  assert.ok(second.counted() > 0)
  assert.equal(first.counted(), last)

  await after.remove([row])
  const final = second.counted()
  send()
  assert.equal(second.counted(), final)
})

test('a link whose device is gone is no attachment, and its pin goes', async (t) => {
  const { dir, pins } = workplace(t)
  const { a, netA, device } = pair(t)
  const { object } = program(t, dir)
  const target = attachmentTarget(attachments, `${pins}/links`, object.programs)
  const row: AttachmentRow = { kind: 'device', device, direction: 'egress', program: 'count_and_mark' }
  await inNamespace(a, () => target.write([row]))
  net.deleteLink(netA, { name: 'kt-a' })
  assert.deepEqual(await target.load(), [])
  assert.deepEqual(readdirSync(`${pins}/links`), [])
  const [outcome] = await inNamespace(a, () => target.write([row]))
  assert.match(outcome!.ok ? '' : outcome!.error, /tcx egress of interface \d+: ENODEV/)
  assert.deepEqual(await target.write([{ ...row, program: 'absent' }]), [
    { ok: false, error: 'no program absent is loaded', permanent: true },
  ])
})

test('links and maps are pinned, found by another load, and say what they are', (t) => {
  const { dir, pins } = workplace(t)
  const { a, device, send } = pair(t)
  const path = compile(dir, fixtureSource)
  const first = loadObject(path, { pins })
  const link = inNamespace(a, () => attachInterface(first.program('count_and_mark'), device, 'ingress'))
  pin(link, `${pins}/deep/er/link`)
  assert.throws(
    () => pin(link, `${pins}/deep/er/link`),
    (error: unknown) => error instanceof KernelError && error.code === 'EEXIST',
  )
  closeSync(link)
  first.close()

  send()
  const second = loadObject(path, { pins })
  afterwards(t, () => second.close())
  const counts = new BpfMap('kt_counts', second.map('kt_counts'), u32Layout, perCpu(u64))
  assert.ok(counts.get(0)!.reduce((sum, each) => sum + each, 0) > 0)
  const found = openPinned(`${pins}/deep/er/link`)!
  const info = linkInfo(found)
  assert.deepEqual([info.interface, info.point], [device, 'tcx_ingress'])
  assert.equal(programInfo(second.program('count_and_mark')).name, 'count_and_mark')
  detachLink(found)
  assert.equal(linkInfo(found).interface, 0)
  closeSync(found)
  assert.equal(openPinned(`${pins}/nothing`), undefined)
  assert.throws(() => loadObject(path, { pins, maxEntries: { kt_hash: 99 } }), /kt_hash/)
})

test('a program in a cgroup decides about the connections of the processes in it', async (t) => {
  const { dir, pins } = workplace(t)
  const cgroup = `${findCgroup2()}/kt-${process.pid}`
  mkdirSync(cgroup, { recursive: true })
  const { object } = program(t, dir)
  const target = attachmentTarget(attachments, `${pins}/links`, object.programs)
  afterwards(t, () => {
    detachAll(`${pins}/links`)
    rmdirSync(cgroup)
  })
  const connect = (): string =>
    execFileSync('bash', ['-c', `echo $$ > ${cgroup}/cgroup.procs; (echo > /dev/tcp/127.0.0.1/1) 2>&1; true`], {
      encoding: 'utf8',
    })
  assert.match(connect(), /refused/i)
  await target.write([{ kind: 'cgroup', directory: cgroup, point: 'connect4', program: 'refuse_connect' }])
  assert.match(connect(), /not permitted/i)
})
