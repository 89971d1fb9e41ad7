// SPDX-License-Identifier: Apache-2.0
/** Maps and buffers without room: what does not fit stays shut, and status, metrics and events say so. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { maps as contract } from '../../../gen/contract.ts'
import { openPinned } from '../../../src/edge/kernel/link.ts'
import { mapInfo } from '../../../src/edge/kernel/map.ts'
import { loadObject } from '../../../src/edge/kernel/object.ts'
import { close } from '../../../src/edge/kernel/syscall.ts'
import { ran } from '../../ran.ts'
import { Cluster, documents, faultsOf, pod, policy, port, steadyProgram } from './cluster.ts'

const object = join(import.meta.dirname, '../../../build/bpf/contract.o')

describe('without room', { timeout: 180_000 }, () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.up('full', [
      ...['--set', 'bpf-ct-global-tcp-max=1024', '--set', 'bpf-ct-global-any-max=1024'],
      ...['--set', 'prometheus-serve-addr=:9962'],
    ])
  })
  after(() => cluster?.lab.down())

  /** Exchanges pinned maps of a node for others of so many entries (undefined: of their own size), as found by the next agent. */
  function exchange(node: string, sizes: Readonly<Record<string, number | undefined>>): void {
    const pins = `/proc/${cluster.nodes.get(node)}/root/sys/fs/bpf/tc/globals`
    const maxEntries: Record<string, number> = {}
    for (const name of Object.keys(contract)) {
      const size = sizes[name]
      if (name in sizes) rmSync(join(pins, name))
      if (size !== undefined) maxEntries[name] = size
      const fd = name in sizes ? undefined : openPinned(join(pins, name))
      if (fd === undefined) continue
      maxEntries[name] = mapInfo(fd).maxEntries
      close(fd)
    }
    loadObject(object, { pins, maxEntries }).close()
  }
  const metric = async (node: string, name: string): Promise<number> => {
    const text = (await cluster.inside(node, ['curl', '-s', 'http://127.0.0.1:9962/metrics'])).stdout
    const line = text.split('\n').find((l) => l.startsWith(name))
    return line === undefined ? 0 : Number(line.split(' ').at(-1))
  }
  const state = async (node: string) =>
    (await cluster.agent<{ cilium: { state: string; msg: string } }>(node, 'GET', '/v1/healthz')).body.cilium

  it('connections outlive their entries in a flow table that is too small, and what is denied stays denied', async () => {
    const ways = [...(await cluster.podIPs('server')), ...(await cluster.podIPs('far'))]
    const talk = await cluster.client(ways)
    const stranger = await cluster.probe('stranger', ways)
    for (const address of ways) {
      const flood = [steadyProgram, 'flood', String(port), address, '6000']
      assert.equal(
        (await ran(cluster.exec('client', flood)[0] as string, cluster.exec('client', flood).slice(1))).code,
        0,
      )
    }
    for (const s of await talk.stop()) assert.equal(faultsOf(s), 0, JSON.stringify(s))
    for (const s of await stranger.stop()) assert.equal(s.answered, 0)
  })

  it('events that find the ring buffer full are counted', async () => {
    const lost = async () => [
      await metric('node-1', 'cilium_bpf_events_lost_total'),
      (await cluster.agent<{ nodeMonitor: { lost: number } }>('node-1', 'GET', '/v1/healthz')).body.nodeMonitor.lost,
    ]
    assert.deepEqual(await lost(), [0, 0])
    const [agent] = cluster.processes('node-1', 'build/agent.js')
    const [server] = await cluster.podIPs('server')
    process.kill(agent as number, 'SIGSTOP')
    try {
      const flood = [steadyProgram, 'flood', String(port), server as string, '60000']
      assert.equal(
        (await ran(cluster.exec('client', flood)[0] as string, cluster.exec('client', flood).slice(1))).code,
        0,
      )
    } finally {
      process.kill(agent as number, 'SIGCONT')
    }
    const [counted, said] = await lost()
    assert.ok(Number(counted) > 1000, `${counted} lost`)
    assert.ok(Number(said) >= Number(counted), `${said} after ${counted}`)
    assert.match((await cluster.lab.cilium('node-1', ['status'])).stdout, /, [1-9]\d* lost/)
  })

  it('addresses that do not fit belong to nobody: nothing reaches them, status, metrics and the pod say why', async () => {
    exchange('node-2', { cilium_owners: 4 })
    await cluster.killAgent('node-2')
    await cluster.until('the warning', async () => {
      const said = await state('node-2').catch(() => undefined)
      return said?.state === 'Warning' && /rows of owners .*cilium_owners is full: it has room for 4/.test(said.msg)
    })
    assert.ok((await metric('node-2', 'cilium_table_failed_rows{table="owners"}')) > 0)
    const far = await cluster.podIPs('far')
    const strangers = [await cluster.probe('stranger', far), await cluster.probe('outsider', far)]
    await cluster.lab.kubectl(['create', '-f', '-'], documents([pod('homeless', 'node-2', ['sleep', 'infinity'])]))
    await cluster.until('an event of the pod', async () =>
      (await cluster.lab.kubectl(['describe', 'pod', 'homeless'])).includes('cilium_owners is full'),
    )
    for (const probe of strangers) for (const s of await probe.stop()) assert.equal(s.answered, 0)
    assert.deepEqual(await cluster.podIPs('homeless'), [])
  })

  it('a policy that does not fit is told so, by node; who was denied stays denied, until there is room', async () => {
    exchange('node-2', { cilium_owners: undefined, cilium_class_pages: 12 })
    await cluster.killAgent('node-2')
    const far = await cluster.podIPs('far')
    await cluster.until('an agent that answers', () =>
      state('node-2').then(
        () => true,
        () => false,
      ),
    )
    const strangers = [await cluster.probe('stranger', far), await cluster.probe('outsider', far)]
    // Identities of twenty more kinds of pods, named by a policy for the server.
    const names = Array.from({ length: 20 }, (_, i) => `kind-${i}`)
    const identity = (name: string, number: number) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumIdentity',
      metadata: { name: String(number) },
      'security-labels': { 'k8s:app': name, 'k8s:io.kubernetes.pod.namespace': 'default' },
    })
    const of = (app: string) => ({
      fromEndpoints: [{ matchLabels: { app } }],
      toPorts: [{ ports: [{ port: '7000', protocol: 'TCP' }] }],
    })
    await cluster.lab.kubectl(
      ['create', '-f', '-'],
      documents([...names.map((n, i) => identity(n, 40_000 + 256 * i)), policy('kinds', names.map(of))]),
    )
    await cluster.until('the warning', async () => {
      const said = await state('node-2')
      return said.state === 'Warning' && /\/kinds is not in force on this node, .*pages of classes/.test(said.msg)
    })
    assert.ok((await metric('node-2', 'cilium_policies_not_in_force')) > 0)
    const condition = async () => {
      const { status } = await cluster.lab.json<{
        status: { conditions: { type: string; status: string; reason: string }[] }
      }>(['get', 'cnp', 'kinds'])
      return status.conditions.map((c) => `${c.type}=${c.status} ${c.reason}`).sort()
    }
    await cluster.until('the condition', async () =>
      isDeepStrictEqual(await condition(), ['Valid=True Valid', 'node-2/Enforced=False NoRoom']),
    )
    await sleep(300)
    for (const probe of strangers) for (const s of await probe.stop()) assert.equal(s.answered, 0)
    exchange('node-2', { cilium_class_pages: undefined })
    await cluster.restartAgent('node-2')
    await cluster.until('the condition to go', async () => isDeepStrictEqual(await condition(), ['Valid=True Valid']))
    await cluster.lab.ready('app=homeless')
    const talk = await cluster.client(far)
    await sleep(500)
    for (const s of await talk.stop()) assert.ok(s.short > 0 && faultsOf(s) === 0, JSON.stringify(s))
  })
})
