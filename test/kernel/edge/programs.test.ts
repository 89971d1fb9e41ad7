// SPDX-License-Identifier: Apache-2.0
// Every object of the datapath, as it is built, on the kernel at hand: it loads, and each of its programs that has a
// place is attached there.
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AttachmentRow, attachmentKey, attachmentTarget, detachAll } from '../../../src/edge/kernel/attachments.ts'
import { ATTACH, type AttachPoint } from '../../../src/edge/kernel/bpf.ts'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { loadObject } from '../../../src/edge/kernel/object.ts'
import { findCgroup2 } from '../../../src/edge/kernel/probe.ts'
import { table } from '../../../src/table/definition.ts'
import { afterwards, workplace } from './fixture.ts'

const objects = join(import.meta.dirname, '../../../build/bpf')
const attachments = table<AttachmentRow>('attachments', { key: attachmentKey })
/** Of the two ends of a pair of devices: a place takes one program. */
const places = {
  from_pod: ['kt-a', 'ingress'],
  to_pod: ['kt-a', 'egress'],
  from_wire: ['kt-a', 'ingress'],
  from_host: ['kt-a', 'egress'],
  from_net: ['kt-b', 'ingress'],
  to_wire: ['kt-b', 'egress'],
} as const
const isPoint = (name: string): name is AttachPoint => name in ATTACH

for (const file of readdirSync(objects).filter((name) => name.endsWith('.o')))
  test(`${file} loads and attaches`, async (t) => {
    const { pins } = workplace(t)
    const namespace = newNamespace()
    const cgroup = `${findCgroup2()}/kt-${process.pid}`
    mkdirSync(cgroup, { recursive: true })
    const object = loadObject(join(objects, file))
    const inside = <T>(work: () => T): T => inNamespace(namespace, work)
    const indexes = inside(() => {
      const netlink = net.openNetlink()
      net.createLink(netlink, { kind: 'veth', name: 'kt-a', up: true, peer: { name: 'kt-b' } })
      const found = new Map(['kt-a', 'kt-b'].map((name) => [name, net.linkByName(netlink, name)!.index]))
      netlink.close()
      return found
    })
    afterwards(t, () => {
      inside(() => detachAll(`${pins}/links`))
      rmdirSync(cgroup)
      object.close()
      closeSync(namespace)
    })
    const target = inside(() => attachmentTarget(attachments, `${pins}/links`, object.programs))
    const rows = [...object.programs.keys()].flatMap((program): AttachmentRow[] => {
      if (isPoint(program)) return [{ kind: 'cgroup', directory: cgroup, point: program, program }]
      if (!(program in places)) return []
      const [name, direction] = places[program as keyof typeof places]
      return [{ kind: 'device', device: indexes.get(name)!, direction, program }]
    })
    assert.equal(rows.length > 0, object.programs.size > 0, 'an object with programs has some to attach')
    for (const outcome of await inside(() => target.write(rows))) assert.deepEqual(outcome, { ok: true })
    const found = await inside(() => target.load())
    assert.deepEqual(found.map(attachmentKey).sort(), rows.map(attachmentKey).sort())
    for (const row of found)
      assert.equal(row.program, rows.find((each) => attachmentKey(each) === attachmentKey(row))!.program)
  })
