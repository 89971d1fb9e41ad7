// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { test } from 'node:test'
import type { Layout } from '../../../gen/contract.ts'
import { u32Layout } from '../../../gen/contract.ts'
import { type AttachmentRow, attachmentKey, attachmentTarget, detachAll } from '../../../src/edge/kernel/attachments.ts'
import { type AttachMode, attachMode } from '../../../src/edge/kernel/features.ts'
import { filters } from '../../../src/edge/kernel/filter.ts'
import { attachInterface, detachLink, linkInfo, openPinned, pin, programInfo } from '../../../src/edge/kernel/link.ts'
import { BpfMap, perCpu } from '../../../src/edge/kernel/map.ts'
import { inNamespace, newNamespace, writeSysctl } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { type LoadedObject, loadObject } from '../../../src/edge/kernel/object.ts'
import { findCgroup2 } from '../../../src/edge/kernel/probe.ts'
import { KernelError } from '../../../src/edge/kernel/syscall.ts'
import { encodeFilter, FILTER } from '../../../src/protocol/netlink/filter.ts'
import { FLAG } from '../../../src/protocol/netlink/message.ts'
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
  // No packets but those that are sent here.
  for (const each of [a, b]) inNamespace(each, () => writeSysctl('net.ipv6.conf.default.disable_ipv6', 1))
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
  /** Packets that came to the device, counted before any program sees them. */
  const received = (): number => {
    const said = inNamespace(a, () => execFileSync('ip', ['-s', '-json', 'link', 'show', 'kt-a'], { encoding: 'utf8' }))
    return JSON.parse(said)[0].stats64.rx.packets
  }
  return { a, b, netA, device, send, received }
}

/** Waits for packets under way: what is sent is received a moment later, on a slow machine a long one. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !holds(); tries++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(holds(), String(holds))
}

/** A loaded fixture and how many packets its program has counted. */
function program(t: Test, dir: string): { object: LoadedObject; counted(): number } {
  const object = loadObject(compile(dir, fixtureSource))
  afterwards(t, () => object.close())
  const counts = new BpfMap('kt_counts', object.map('kt_counts'), u32Layout, perCpu(u64))
  return { object, counted: () => counts.get(0)!.reduce((sum, each) => sum + each, 0) }
}

const noTcx = attachMode() === 'tc' && 'this kernel has no tcx'
const modes = attachMode() === 'tcx' ? (['tcx', 'tc'] as const) : (['tc'] as const)

/** A target whose every call is made in a namespace. */
const within = (a: number, open: () => Target<AttachmentRow>): Target<AttachmentRow> => {
  const target = inNamespace(a, open)
  return {
    ...target,
    load: () => inNamespace(a, () => target.load()),
    write: (rows) => inNamespace(a, () => target.write(rows)),
    remove: (rows) => inNamespace(a, () => target.remove(rows)),
  }
}

for (const mode of modes)
  conforms<AttachmentRow>(`attachments by ${mode}`, (t) => {
    const { dir, pins } = workplace(t)
    const { a, device } = pair(t)
    const cgroup = `${findCgroup2()}/kt-${process.pid}`
    mkdirSync(cgroup, { recursive: true })
    const { programs } = loadObject(compile(dir, fixtureSource))
    afterwards(t, () => {
      inNamespace(a, () => detachAll(`${pins}/links`))
      rmdirSync(cgroup)
    })
    const inside = () => within(a, () => attachmentTarget(attachments, `${pins}/links`, programs, mode))
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

for (const mode of modes) {
  const sender = (t: Test, pins: string, a: number, program: LoadedObject): Target<AttachmentRow> => {
    afterwards(t, () => inNamespace(a, () => detachAll(`${pins}/links`)))
    return within(a, () => attachmentTarget(attachments, `${pins}/links`, program.programs, mode))
  }

  test(`by ${mode} a program sees the packets of its device, and one loaded anew takes its very place`, async (t) => {
    const { dir, pins } = workplace(t)
    const { a, device, send } = pair(t)
    const [first, second] = [program(t, dir), program(t, dir)]
    const row: AttachmentRow = { kind: 'device', device, direction: 'ingress', program: 'count_and_mark' }

    const before = sender(t, pins, a, first.object)
    assert.deepEqual(await before.write([row]), [{ ok: true }])
    send()
    await until(() => first.counted() > 0)

    const link = (): number => {
      const fd = openPinned(`${pins}/links/${attachmentKey(row)}`)
      if (fd === undefined) return 0
      const { id } = linkInfo(fd)
      closeSync(fd) // it would keep the link
      return id
    }
    const id = link()
    assert.equal(id !== 0, mode === 'tcx')
    const after = sender(t, pins, a, second.object)
    const there = await after.load()
    assert.equal(there.length, 1)
    assert.equal(after.equal(there[0]!, row), false, 'a program of the same name from another load is another')
    assert.deepEqual(await after.write([row]), [{ ok: true }])
    assert.deepEqual([link(), inNamespace(a, filters).length], [id, mode === 'tcx' ? 0 : 1])
    assert.equal(after.equal((await after.load())[0]!, row), true)
    const last = first.counted()
    send()
    await until(() => second.counted() > 0)
    assert.equal(first.counted(), last)

    await after.remove([row])
    const final = second.counted()
    send()
    assert.equal(second.counted(), final)
  })

  test(`by ${mode} no packet passes while one program takes the place of another`, async (t) => {
    const { dir, pins } = workplace(t)
    const { a, b, device, received } = pair(t)
    const loads = [program(t, dir), program(t, dir)] as const
    const row: AttachmentRow = { kind: 'device', device, direction: 'ingress', program: 'count_and_mark' }
    const targets = loads.map(({ object }) => sender(t, pins, a, object))
    await targets[0]!.write([row])
    const before = received() - loads[0].counted()
    const script = 'for ((i = 0; i < 3000; i++)); do echo x > /dev/udp/10.0.0.1/9; done'
    const flood = inNamespace(b, () => spawn('bash', ['-c', script], { stdio: 'ignore' }))
    const ended = once(flood, 'exit')
    for (let turn = 1; flood.exitCode === null; turn++) {
      await targets[turn % 2]!.write([row])
      await new Promise((resolve) => setImmediate(resolve))
    }
    await ended
    for (const each of loads) assert.ok(each.counted() > 0)
    const counted = (): number => loads[0].counted() + loads[1].counted()
    await until(() => counted() === received() - before)
    assert.equal(counted(), received() - before)
  })

  test(`by ${mode} nothing is attached to a device that is gone, and nothing can be`, async (t) => {
    const { dir, pins } = workplace(t)
    const { a, netA, device } = pair(t)
    const target = sender(t, pins, a, program(t, dir).object)
    const row: AttachmentRow = { kind: 'device', device, direction: 'egress', program: 'count_and_mark' }
    await target.write([row])
    assert.equal((await target.load()).length, 1)
    net.deleteLink(netA, { name: 'kt-a' })
    assert.deepEqual(await target.load(), [])
    assert.deepEqual(readdirSync(`${pins}/links`), [])
    const [outcome] = await target.write([row])
    assert.match(
      outcome!.ok ? '' : outcome!.error,
      mode === 'tcx' ? /tcx egress of interface \d+: ENODEV/ : /clsact of interface \d+: ENODEV/,
    )
    assert.deepEqual(await target.remove([row]), [{ ok: true }])
    assert.deepEqual(await target.write([{ ...row, program: 'absent' }]), [
      { ok: false, error: 'no program absent is loaded', permanent: true },
    ])
  })
}

test('a filter goes with its clsact, unless somebody else has a filter there', async (t) => {
  const { dir, pins } = workplace(t)
  const { a, netA, device } = pair(t)
  const tc = (words: string): string =>
    inNamespace(a, () => execFileSync('tc', words.split(' '), { encoding: 'utf8', stdio: 'pipe' }))
  const { programs } = program(t, dir).object
  const target = within(a, () => attachmentTarget(attachments, `${pins}/links`, programs, 'tc'))
  const row = (direction: 'ingress' | 'egress'): AttachmentRow => ({
    ...{ kind: 'device', device, direction, program: 'count_and_mark' },
  })
  assert.deepEqual(await target.write([row('ingress'), row('egress')]), [{ ok: true }, { ok: true }])
  assert.match(tc('filter show dev kt-a egress'), /pref 1 bpf .*\/links\/count_and_mark direct-action/)
  await target.remove([row('ingress')])
  assert.match(tc('qdisc show dev kt-a'), /clsact/)
  await target.remove([row('egress')])
  assert.doesNotMatch(tc('qdisc show dev kt-a'), /clsact/)

  tc('qdisc add dev kt-a clsact')
  const theirs = { device, direction: 'egress', priority: 1, handle: 7, name: 'theirs' } as const
  const body = encodeFilter({ ...theirs, program: programs.get('send_events')! })
  netA.change(FILTER.NEW, FLAG.CREATE, body, 'their filter')
  await target.write([row('ingress'), row('egress')])
  await target.remove([row('ingress'), row('egress')])
  assert.match(tc('filter show dev kt-a egress'), /handle 0x7 theirs/)
  assert.deepEqual(inNamespace(a, filters), [])
})

test('a device whose place is taken by a queueing discipline of another kind is an error of its row', async (t) => {
  const { dir, pins } = workplace(t)
  const { a, device } = pair(t)
  inNamespace(a, () => execFileSync('tc', ['qdisc', 'add', 'dev', 'kt-a', 'ingress']))
  const { programs } = program(t, dir).object
  const target = within(a, () => attachmentTarget(attachments, `${pins}/links`, programs, 'tc'))
  const [outcome] = await target.write([{ kind: 'device', device, direction: 'egress', program: 'count_and_mark' }])
  assert.match(outcome!.ok ? '' : outcome!.error, /clsact of interface \d+: EINVAL/)
})

test('what was attached the other way is found, and goes when it is written anew', { skip: noTcx }, async (t) => {
  const { dir, pins } = workplace(t)
  const { a, device, send, received } = pair(t)
  const { object, counted } = program(t, dir)
  const row: AttachmentRow = { kind: 'device', device, direction: 'ingress', program: 'count_and_mark' }
  const open = (mode: AttachMode) =>
    within(a, () => attachmentTarget(attachments, `${pins}/links`, object.programs, mode))
  let mode: AttachMode = 'tc'
  await open(mode).write([row])
  for (const next of ['tcx', 'tc'] as const) {
    mode = next
    const target = open(mode)
    const [found] = await target.load()
    assert.equal(target.equal(found!, row), false)
    assert.deepEqual(await target.write([row]), [{ ok: true }])
    assert.equal(inNamespace(a, filters).length, mode === 'tc' ? 1 : 0)
    assert.equal(readdirSync(`${pins}/links`).length, mode === 'tcx' ? 1 : 0)
    const before = received() - counted()
    send()
    await until(() => counted() === received() - before)
    assert.equal(counted(), received() - before, 'once each')
  }
  await open('tcx').remove([row])
  assert.deepEqual(inNamespace(a, filters), [])
})

test('links and maps are pinned, found by another load, and say what they are', { skip: noTcx }, async (t) => {
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
  await until(() => counts.get(0)!.some((each) => each > 0))
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
