// SPDX-License-Identifier: Apache-2.0
/** The host firewall as its administrator sees it: who reaches a node and whom it reaches, and what must never be cut. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { hostOf } from '../l7/pods.ts'
import { http } from '../l7/talk.ts'

const root = join(import.meta.dirname, '../../..')
const name = 'hostfw'

interface Object {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] }
}

const modes = [
  ['a tunnel', []],
  ['native routing', ['--native-routing']],
] as const
for (const [mode, options] of modes)
  describe(`host firewall over ${mode}`, { timeout: 400_000 }, () => {
    let lab: Lab
    let near = ''
    let far = ''
    /** Of the node with the firewall, IPv4 and IPv6. */
    let addresses: readonly string[] = []
    let others: readonly string[] = []

    before(async () => {
      lab = await Lab.up(name, ['--set', 'enable-host-firewall=true', ...options])
      ;[near = '', far = ''] = await lab.nodes()
      const nodes = (await lab.json<{ items: readonly Object[] }>(['get', 'nodes'])).items
      const of = (node: string) =>
        nodes
          .find((n) => n.metadata.name === node)
          ?.status.addresses.filter((a) => a.type === 'InternalIP')
          .map((a) => a.address) ?? []
      ;[addresses, others] = [of(near), of(far)]
      await lab.kubectl(['label', 'node', near, 'role=guarded'])
      const server = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js')]
      const pod = (app: string, node: string, more: object) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `${app}-${node}`, labels: { app } },
        spec: { nodeName: node, ...more },
      })
      const items = [near, far].flatMap((node) => [
        pod('server', node, {
          hostNetwork: true,
          containers: [{ name: 'c', image: 'debian', command: [...server, '7001', '7002'] }],
        }),
        pod('client', node, { containers: [{ name: 'c', image: 'debian', command: ['sleep', 'infinity'] }] }),
        pod('other', node, { containers: [{ name: 'c', image: 'debian', command: [...server, '80', '81'] }] }),
      ])
      await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
      await lab.ready('app in (client,server,other)')
    })
    after(() => ran('bin/cilium-lab', ['down', '--name', name]))

    /** Can it open a connection? A SYN that was dropped comes again after a second; the answer may take its time. */
    const reaches = async (from: string, to: string, port: number): Promise<boolean> => {
      const [program = '', ...prefix] = await lab.within(from)
      const r = await ran(program, [
        ...prefix,
        'curl',
        '-g',
        '-s',
        '-o',
        '/dev/null',
        '--connect-timeout',
        '2',
        '-m',
        '10',
        `http://${hostOf(to)}:${port}/`,
      ])
      return r.code !== 7 && r.code !== 28
    }
    /** Both families at once. */
    const all = async (from: string, to: readonly string[], port: number): Promise<readonly boolean[]> =>
      Promise.all(to.map((address) => reaches(from, address, port)))
    const yes = [true, true]
    const no = [false, false]
    type Expected = readonly [from: string, to: readonly string[], port: number, is: readonly boolean[]]
    const expect = (list: readonly Expected[]) =>
      Promise.all(
        list.map(async ([from, to, port, is]) =>
          assert.deepEqual(await all(from, to, port), is, `${from} to ${to.join(' and ')} port ${port}`),
        ),
      )
    const until = async (what: string, done: () => Promise<boolean>) => {
      for (let i = 0; i < 60; i++) if (await done()) return
      assert.fail(what)
    }
    const policy = (spec: object, annotations: object = {}) =>
      lab.kubectl(
        ['apply', '-f', '-'],
        JSON.stringify({
          apiVersion: 'cilium.io/v2',
          kind: 'CiliumClusterwideNetworkPolicy',
          metadata: { name: 'host', annotations },
          spec: { nodeSelector: { matchLabels: { role: 'guarded' } }, ...spec },
        }),
      )
    const drop = () => lab.kubectl(['delete', 'ccnp', 'host'])
    const tcp = (port: number) => [{ ports: [{ port: String(port), protocol: 'TCP' }] }]
    const ingress = [
      { fromEntities: ['remote-node'], toPorts: tcp(7001) },
      {
        fromEndpoints: [{ matchLabels: { app: 'client', 'k8s:io.kubernetes.pod.namespace': 'default' } }],
        toPorts: tcp(7001),
      },
      { icmps: [{ fields: [{ type: 8 }, { type: 128, family: 'IPv6' }] }] },
    ]

    it('without policies for nodes changes nothing', async () => {
      assert.deepEqual(await all(far, addresses, 7002), yes)
      assert.deepEqual(await all(`default/client-${near}`, addresses, 7002), yes)
      assert.match((await lab.cilium(near, ['status'])).stdout, /Host firewall: +Enabled +\[eth0\]/)
    })

    it('lets in what a rule allows, from nodes and pods near and far, and nothing else', async () => {
      await policy({ ingress })
      await until('7002 closes', async () => !(await reaches(far, addresses[0] ?? '', 7002)))
      await expect([
        ...[far, `default/client-${near}`].flatMap((from): Expected[] => [
          [from, addresses, 7001, yes],
          [from, addresses, 7002, no],
        ]),
        [`default/other-${near}`, addresses, 7001, no],
        [near, others, 7002, yes], // what the node opens is answered
        [far, addresses, 10250, no],
      ])
      assert.equal(
        (await lab.tryKubectl(['exec', `client-${near}`, '--', 'true'])).code,
        0,
        'kubelet answers its API server',
      )
    })

    it('shows the node among the endpoints, with its labels', async () => {
      const list = await lab.cilium(near, ['endpoint', 'list', '-o', 'json'])
      const host = (
        JSON.parse(list.stdout) as {
          id: number
          status: { identity: { id: number; labels: string[] }; policy: { realized: Record<string, string> } }
        }[]
      ).find((e) => e.status.identity.id === 1)
      assert.ok(host?.status.identity.labels.includes('reserved:host'))
      assert.ok(host?.status.identity.labels.includes('k8s:role=guarded'))
      assert.equal(host?.status.policy.realized['policy-enabled'], 'ingress')
      const allowed = await lab.cilium(near, ['bpf', 'policy', 'get', String(host?.id), '-o', 'json'])
      assert.match(allowed.stdout, /7001\/TCP/)
    })

    it('keeps what is open, and lets nothing more in, while the agent is exchanged', async (t) => {
      const steady = http(lab, far, `http://${hostOf(addresses[0] ?? '')}:7001`)
      t.after(() => steady.stop())
      assert.equal(await steady.get('/a'), '200')
      await lab.kubectl([
        '-n',
        'kube-system',
        'delete',
        'pod',
        '-l',
        'k8s-app=cilium',
        '--field-selector',
        `spec.nodeName=${near}`,
      ])
      const opened: boolean[] = []
      await until('the agent is back', async () => {
        const [still, allowed, denied] = await Promise.all([
          steady.get('/a'),
          reaches(far, addresses[1] ?? '', 7001),
          all(far, addresses, 7002),
        ])
        assert.deepEqual([still, allowed], ['200', true])
        opened.push(...denied)
        return (await lab.cilium(near, ['status', '--brief'])).stdout.trim() === 'OK'
      })
      assert.ok(!opened.includes(true))
      assert.equal(await steady.get('/a'), '200')
      assert.equal(await steady.connections(), 1)
    })

    it('lets out what a rule allows, and the agent still hears its API server', async () => {
      await policy({ egress: [{ toEntities: ['kube-apiserver'] }, { toEndpoints: [{}], toPorts: tcp(80) }] })
      await until('7001 of the other node closes', async () => !(await reaches(near, others[0] ?? '', 7001)))
      const pods = await lab.json<{ items: { metadata: { name: string }; status: { podIPs: { ip: string }[] } }[] }>([
        'get',
        'pods',
        '-l',
        'app=other',
      ])
      assert.equal(pods.items.length, 2)
      await expect([
        [near, others, 7001, no],
        [far, addresses, 7002, yes], // what others open is answered
        ...pods.items.flatMap(({ status }): Expected[] => {
          const to = status.podIPs.map((p) => p.ip)
          return [
            [near, to, 80, yes],
            [near, to, 81, no],
          ]
        }),
        [`default/client-${near}`, others, 7001, yes], // pods are not the node
      ])
      await drop()
      await until('7001 opens again: the agent heard of it', () => reaches(near, others[0] ?? '', 7001))
    })

    // The rest does not depend on how packets travel.
    if (mode !== 'a tunnel') return

    it('reports and drops nothing in audit mode, of one policy or of the node', async () => {
      await policy({ ingress })
      await until('7002 closes', async () => !(await reaches(far, addresses[0] ?? '', 7002)))
      await policy({ ingress }, { 'cilium-ts.io/policy-mode': 'audit' })
      await until('7002 opens', () => reaches(far, addresses[0] ?? '', 7002))
      await policy({ ingress })
      await until('7002 closes', async () => !(await reaches(far, addresses[0] ?? '', 7002)))
      const list = await lab.cilium(near, ['endpoint', 'list', '-o', 'json'])
      const host = (JSON.parse(list.stdout) as { id: number; status: { identity: { id: number } } }[]).find(
        (e) => e.status.identity.id === 1,
      )
      const set = await lab.cilium(near, ['endpoint', 'config', String(host?.id), 'PolicyAuditMode=Enabled'])
      assert.equal(set.code, 0, set.stderr)
      await until('7002 opens', () => reaches(far, addresses[0] ?? '', 7002))
      await lab.cilium(near, ['endpoint', 'config', String(host?.id), 'PolicyAuditMode=Disabled'])
      await until('7002 closes', async () => !(await reaches(far, addresses[0] ?? '', 7002)))
      await drop()
    })

    it('is gone with its option, programs included', async () => {
      const programs = async () => {
        const [program = '', ...prefix] = lab.inside(near)
        return (await ran(program, [...prefix, 'ls', '/sys/fs/bpf/cilium/links/node'])).stdout
          .split('\n')
          .filter((l) => /^device-\d+-egress$/.test(l)).length
      }
      const guarded = await programs()
      await policy({ ingress })
      await until('7002 closes', async () => !(await reaches(far, addresses[0] ?? '', 7002)))
      await lab.kubectl([
        '-n',
        'kube-system',
        'patch',
        'cm',
        'cilium-config',
        '-p',
        '{"data":{"enable-host-firewall":"false"}}',
      ])
      await lab.kubectl([
        ...['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium'],
        ...['--field-selector', `spec.nodeName=${near}`],
      ])
      await until('7002 opens', () => reaches(far, addresses[0] ?? '', 7002))
      await until('its program goes', async () => (await programs()) === guarded - 1)
      await drop()
    })
  })
