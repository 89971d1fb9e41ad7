// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { type DnsControl, openDnsControl } from './control.ts'
import { openAgentLink } from './link.ts'
import type { DnsRecord, FromAgent, Learnt } from './messages.ts'
import { lineReader } from './messages.ts'

const row = (name: string, port = 1): DnsListenerRow => ({ name, port, rules: [], refuse: 'refused' })
const answer: Learnt = {
  client: '10.0.0.1',
  server: '10.0.0.2',
  name: 'a.b',
  addresses: [{ address: '1.2.3.4', ttl: 5 }],
}

/** The agent's side, and a proxy that says what it is told to have; `problems` are those it has. */
async function stage(learn: (answer: Learnt) => Promise<void> = async () => {}) {
  const directory = mkdtempSync(join(tmpdir(), 'dns-'))
  const taken: DnsRecord[] = []
  const control: DnsControl = openDnsControl({
    path: join(directory, 'run/agent.sock'),
    absent: 'no proxy',
    answerMs: 2_000,
    tryMs: 50,
    sink: { learn, wanted: true, take: (records) => void taken.push(...records) },
  })
  await control.serve({ ipv4: true, ipv6: false, limit: 0 })
  const target = control.target('listeners', (r) => r.name)
  return { control, target, taken, directory, path: join(directory, 'run/agent.sock') }
}
type Stage = Awaited<ReturnType<typeof stage>>

function proxy({ path }: Stage, problems: Readonly<Record<string, string>> = {}) {
  const said: FromAgent[] = []
  let look = () => {}
  const link = openAgentLink(path, {
    take(message) {
      said.push(message)
      if (message.kind === 'state') link.send({ kind: 'has', revision: message.revision, problems })
      look()
    },
    changed() {},
  })
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      look = () => void (holds() && resolve())
      look()
    })
  const states = () => said.filter((m) => m.kind === 'state')
  return { link, said, until, states }
}
async function close(s: Stage, ...proxies: readonly { readonly link: { close(): void } }[]) {
  for (const p of proxies) p.link.close()
  await s.control.close()
  rmSync(s.directory, { recursive: true })
}

test('a listener is done when the proxy has it, and an error in its words when it can not', async () => {
  const s = await stage()
  assert.deepEqual(await s.target.write([row('a')]), [{ ok: false, error: 'no proxy' }])
  const p = proxy(s, { b: 'port 2: EADDRINUSE' })
  await p.until(() => p.states().length > 0)
  assert.deepEqual(await s.target.write([row('a'), row('b', 2)]), [
    { ok: true },
    { ok: false, error: 'port 2: EADDRINUSE' },
  ])
  assert.equal(s.control.problem('a'), '')
  assert.equal(s.control.problem('c'), undefined)
  await s.target.remove([row('b')])
  await p.until(() => p.states().at(-1)?.listeners.length === 1)
  assert.deepEqual([p.states().at(-1)?.ipv4, p.states().at(-1)?.ipv6], [true, false])
  await close(s, p)
})

test('one that comes later hears all of it, and its coming and going is told', async () => {
  const s = await stage()
  await s.target.write([row('a')])
  let changes = 0
  const came = new Promise<void>((resolve) => s.control.onChange(() => ++changes && resolve()))
  const p = proxy(s)
  await came
  assert.equal(s.control.connected, 1)
  assert.deepEqual(
    p.said.slice(0, 2).map((m) => m.kind),
    ['tell', 'state'],
  )
  const went = new Promise<void>((resolve) => s.control.onChange(() => resolve()))
  p.link.close()
  await went
  assert.equal(s.control.connected, 0)
  assert.equal(s.control.problem('a'), 'no proxy')
  await close(s)
})

test('what the proxy learnt is done when it is known, or an error', async () => {
  const s = await stage((a) => (a.name === 'a.b' ? Promise.resolve() : Promise.reject(new Error('full'))))
  const p = proxy(s)
  await p.until(() => p.states().length > 0)
  p.link.send({ kind: 'learn', id: 1, answer })
  p.link.send({ kind: 'learn', id: 2, answer: { ...answer, name: 'c' } })
  await p.until(() => p.said.filter((m) => m.kind === 'done').length === 2)
  assert.deepEqual(
    p.said.filter((m) => m.kind === 'done'),
    [
      { kind: 'done', id: 1 },
      { kind: 'done', id: 2, error: 'full' },
    ],
  )
  s.control.forget()
  await p.until(() => p.said.at(-1)?.kind === 'forget')
  await close(s, p)
})

test('nobody waits long for a proxy that is not there', async () => {
  const s = await stage()
  await s.control.tried(['a'])
  await close(s)
})

test('lines are read however they are cut', () => {
  const lines = lineReader<number>()
  assert.deepEqual([lines('1\n2'), lines('3\n\n4'), lines('\n')], [[1], [23], [4]])
  assert.throws(() => lines('x\n'))
})
