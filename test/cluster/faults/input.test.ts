// SPDX-License-Identifier: Apache-2.0
/** Bad objects, bad requests, pods that come and go too fast, addresses claimed twice, maps without room, a node gone. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, documents, pod, policy } from './cluster.ts'

const cnp = (name: string, spec: object): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name },
  spec: { endpointSelector: {}, ...spec },
})
const toPort = (of: object): object => ({ ingress: [{ toPorts: [{ ports: [of] }] }] })

/** What is refused at the door, and what its answer names: the object, the field, what would do. */
const refused: readonly (readonly [what: string, object: object | string, says: RegExp])[] = [
  ['malformed YAML', 'kind: [Pod\n', /error parsing STDIN.*line \d/],
  ['an unknown field', cnp('bad', { ingres: [] }), /CiliumNetworkPolicy.*unknown field "spec\.ingres"/],
  [
    'a port that is none',
    cnp('bad', toPort({ port: '99999', protocol: 'TCP' })),
    /"bad" is invalid: spec\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.port: Invalid value: "99999"/,
  ],
  [
    'a protocol that is none',
    cnp('bad', toPort({ port: '80', protocol: 'XYZ' })),
    /ports\[0\]\.protocol: Unsupported value: "XYZ": supported values: "TCP"/,
  ],
  ['a policy for pods and for nodes', cnp('bad', { nodeSelector: {}, ingress: [] }), /"bad" is invalid: spec: /],
  [
    'a range that ends before it begins',
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'bad' },
      spec: { podSelector: {}, ingress: [{ ports: [{ port: 90, endPort: 80 }] }] },
    },
    /"bad" is invalid: spec\.ingress\[0\]\.ports\[0\]\.endPort: Invalid value: 80/,
  ],
]

/** What a schema can not see, and what the condition says of it. */
const conditions: readonly (readonly [name: string, spec: object, status: 'True' | 'False', says: RegExp])[] = [
  [
    'backwards',
    toPort({ port: '80', endPort: 79, protocol: 'TCP' }),
    'False',
    /^spec\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.endPort: endPort 79 is below port 80/,
  ],
  [
    'exists-values',
    {
      endpointSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] },
      ingress: [{}],
    },
    'False',
    /^spec\.endpointSelector\.matchExpressions\[0\]\.values: .*leave values out/,
  ],
  [
    'never',
    {
      endpointSelector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] },
      ingress: [{}],
    },
    'True',
    /^spec\.endpointSelector: selects nobody/,
  ],
  [
    'two-peers',
    { ingress: [{ fromEndpoints: [{}], fromCIDR: ['10.0.0.0/8'] }] },
    'False',
    /^spec\.ingress\[0\]: .*make it a rule of its own/,
  ],
  [
    'no-prefix',
    { ingress: [{ fromCIDR: ['10.0.0.0/88'] }] },
    'False',
    /^spec\.ingress\[0\]\.fromCIDR\[0\]: .*the length is 0 to 32/,
  ],
  [
    'outside',
    { ingress: [{ fromCIDRSet: [{ cidr: '10.0.0.0/8', except: ['11.0.0.0/9'] }] }] },
    'False',
    /^spec\.ingress\[0\]\.fromCIDRSet\[0\]\.except\[0\]: 11\.0\.0\.0\/9 is not inside/,
  ],
]

interface Realized {
  readonly 'policy-enabled': string
  readonly 'allowed-ingress-identities': readonly number[]
  readonly 'allowed-egress-identities': readonly number[]
}

describe('a lab', { timeout: 180_000 }, () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.up('input')
  })
  after(() => cluster?.lab.down())

  const create = (objects: readonly object[]) => cluster.lab.kubectl(['create', '-f', '-'], documents(objects))
  const endpoints = async (node: string) =>
    (
      await cluster.agent<{ id: number; status: { policy: { realized: Realized } } }[]>(node, 'GET', '/v1/endpoint')
    ).body.map(({ id, status: { policy } }) => [
      id,
      policy.realized['policy-enabled'],
      policy.realized['allowed-ingress-identities'],
      policy.realized['allowed-egress-identities'],
    ])
  const links = async (node: string): Promise<number> =>
    (await cluster.inside(node, ['ip', '-o', 'link'])).stdout.split('\n').filter((l) => /: lxc/.test(l)).length

  describe('given bad objects', () => {
    for (const [what, object, says] of refused)
      it(`refuses ${what}, and says where`, async () => {
        const text = typeof object === 'string' ? object : JSON.stringify(object)
        const r = await cluster.lab.tryKubectl(['create', '-f', '-'], text)
        assert.notEqual(r.code, 0)
        assert.match(r.stderr, says)
      })

    it('makes policies it can not follow conditions on themselves and events, and nothing else', async () => {
      const before = await endpoints('node-1')
      await create(conditions.map(([name, spec]) => cnp(name, spec)))
      for (const [name, , status, says] of conditions) {
        await cluster.lab.kubectl(['wait', `--for=condition=Valid=${status}`, `cnp/${name}`, '--timeout=20s'])
        const condition = await cluster.lab.kubectl([
          'get',
          'cnp',
          name,
          '-o',
          'jsonpath={.status.conditions[?(@.type=="Valid")].message}',
        ])
        assert.match(condition, says)
        await cluster.until(`an event of ${name}`, async () => {
          const field = `involvedObject.name=${name},type=Warning`
          return (await cluster.lab.kubectl(['get', 'events', '--field-selector', field, '-o', 'name'])) !== ''
        })
      }
      assert.deepEqual(await endpoints('node-1'), before)
      await cluster.lab.kubectl(['delete', 'cnp', ...conditions.map(([name]) => name)])
    })
  })

  describe('given bad requests', () => {
    it('answers each at its API with a Status, and goes on', async () => {
      const view = JSON.parse(await cluster.lab.kubectl(['config', 'view', '--raw', '-o', 'json'])) as {
        clusters: { cluster: { server: string } }[]
        users: { user: { token: string } }[]
      }
      const server = new URL(view.clusters[0]?.cluster.server ?? '')
      const authorization = `Bearer ${view.users[0]?.user.token}`
      const maps = '/api/v1/namespaces/default/configmaps'
      const json = { 'content-type': 'application/json' }
      const cases: readonly (readonly [string, string, object, string, number])[] = [
        ['GET', '//', {}, '', 404],
        ['GET', '//evil/api/v1/pods', {}, '', 404],
        ['GET', '/api/v1/namespaces/%ff/pods', {}, '', 400],
        ['GET', '/api/v1/pods?labelSelector=((', {}, '', 400],
        ['GET', '/api/v1/pods?continue=zzz', {}, '', 400],
        ['TRACE', '/api/v1/pods', {}, '', 405],
        ['GET', '/api/v1/namespaces/default/pods/none/exec', {}, '', 400],
        ['POST', maps, json, '{', 400],
        ['POST', maps, json, '[1]', 400],
        ['POST', maps, json, '['.repeat(200_000), 400],
        ['POST', maps, json, '\0'.repeat(4 << 20), 413],
        ['POST', maps, json, '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":5}}', 400],
        ['POST', maps, json, '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"../x"}}', 422],
        ['POST', maps, { 'content-type': 'application/vnd.kubernetes.protobuf' }, 'k8s\0\x0a\xff\xff\xff\xff', 400],
        ['POST', maps, { 'content-type': 'text/x' }, '{}', 415],
        ['PATCH', '/api/v1/nodes/node-1', { 'content-type': 'application/json-patch+json' }, '[{"op":"x"}]', 400],
        ['PATCH', '/api/v1/nodes/node-1', { 'content-type': 'application/apply-patch+yaml' }, 'a: [', 400],
      ]
      for (const [method, path, headers, body, expected] of cases) {
        const status = await new Promise<number>((resolve, reject) => {
          const options = { host: server.hostname, port: server.port, method, path, rejectUnauthorized: false }
          const request = https.request({ ...options, headers: { authorization, ...headers } }, (answer) => {
            answer.resume()
            resolve(answer.statusCode ?? 0)
          })
          request.on('error', (e: NodeJS.ErrnoException) =>
            // Refused before all of it was read.
            expected === 413 && /EPIPE|ECONNRESET/.test(e.code ?? '')
              ? resolve(413)
              : reject(new Error(`${method} ${path}: ${e.message}`)),
          )
          request.end(Buffer.from(body, 'latin1'))
        })
        assert.equal(status, expected, `${method} ${path} ${body.slice(0, 40)}`)
      }
      await poke(() => net.connect(Number(server.port), server.hostname))
      await poke(() => net.connect(`/run/cilium-lab/${cluster.lab.name}/control.sock`), 'GET /%ff/%zz HTTP/1.1\r\n\r\n')
      assert.equal((await cluster.lab.kubectl(['get', 'nodes', '-o', 'name'])).trim().split('\n').length, 2)
    })

    it("answers each at the agent's socket with what is wrong, and goes on", async () => {
      const cases: readonly (readonly [string, string, string, number])[] = [
        ['GET', '//', '', 400],
        ['GET', '/v1/endpoint/%ff', '', 400],
        ['GET', '/v1/endpoint/999999', '', 404],
        ['GET', '/v1/endpoint/none:such', '', 400],
        ['PUT', '/v1/healthz', '', 405],
        ['POST', '/v1/cni', '{', 400],
        ['POST', '/v1/cni', `"${'x'.repeat(5 << 20)}"`, 413],
      ]
      for (const [method, path, body, expected] of cases) {
        const r = await cluster.agent('node-1', method, path, body).catch((e: NodeJS.ErrnoException) => {
          if (expected === 413 && /EPIPE|ECONNRESET/.test(e.code ?? '')) return { status: 413 }
          throw e
        })
        if (expected === 400) assert.ok(r.status >= 400 && r.status < 500, `${method} ${path}: ${r.status}`)
        else assert.equal(r.status, expected, `${method} ${path}`)
      }
      for (const body of [
        'null',
        '[]',
        '{"command":7}',
        '{"command":"ADD","config":[]}',
        '{"command":"GC","config":{}}',
      ]) {
        const r = await cluster.agent<{ code?: number }>('node-1', 'POST', '/v1/cni', body)
        assert.ok(r.status === 400 || Number(r.body.code) > 0, `${body}: ${JSON.stringify(r.body)}`)
      }
      await poke(() => net.connect(`/proc/${cluster.nodes.get('node-1')}/root/run/cilium/cilium.sock`))
      await cluster.agentReady('node-1')
    })

    it("answers each at the node's CNI plugin with an error of the specification, and changes nothing", async () => {
      const before = [await endpoints('node-1'), await links('node-1')]
      const call = (command: string, stdin: string, extra = '') =>
        cluster.inside(
          'node-1',
          [
            'sh',
            '-c',
            `env CNI_COMMAND=${command} CNI_CONTAINERID=x CNI_IFNAME=eth0 CNI_PATH=/ ${extra} /opt/cni/bin/cilium-cni`,
          ],
          stdin,
        )
      const config = '{"cniVersion":"1.1.0","name":"cilium","type":"cilium-cni"}'
      const cases: readonly (readonly [string, string, string, number])[] = [
        ['ADD', '\0\xff{', 'CNI_NETNS=/x', 6],
        ['ADD', `{"a":"${'x'.repeat(5 << 20)}"}`, 'CNI_NETNS=/x', 5],
        ['ADD', config, '', 4],
        ['ADD', config, 'CNI_NETNS=/x', 4],
        ['ADD', config, "CNI_NETNS=/no/such CNI_ARGS='K8S_POD_NAMESPACE=default;K8S_POD_NAME=client'", 4],
        ['CHECK', config, 'CNI_NETNS=/x', 7],
        ['NONE', config, '', 4],
      ]
      for (const [command, stdin, extra, code] of cases) {
        const r = await call(command, stdin, extra)
        assert.equal(r.code, 1, `${command} ${extra}`)
        assert.equal((JSON.parse(r.stdout) as { code: number }).code, code, `${command} ${extra}: ${r.stdout}`)
      }
      assert.equal((await call('DEL', config)).code, 0, 'removing what is not there is no error')
      assert.deepEqual([await endpoints('node-1'), await links('node-1')], before)
    })

    it('opens its sockets and keys to root alone', () => {
      const directory = `/run/cilium-lab/${cluster.lab.name}`
      assert.equal(statSync(directory).mode & 0o777, 0o700)
      const sockets = [...cluster.nodes.values()].map((pid) => `/proc/${pid}/root/run/cilium/cilium.sock`)
      const own = ['control.sock', 'kubeconfig', ...[...cluster.nodes.keys()].map((n) => `${n}.sock`)]
      for (const path of [...sockets, ...own.map((f) => join(directory, f))]) {
        assert.ok(existsSync(path), path)
        assert.equal(statSync(path).mode & 0o777, 0o600, path)
        assert.equal(statSync(path).uid, 0, path)
      }
    })
  })

  it('keeps an address with whom it belongs to, whoever else claims it', async () => {
    const [server] = await cluster.podIPs('server')
    const [far] = await cluster.podIPs('far')
    const identity = async (node: string, address: string | undefined): Promise<string> => {
      const r = await cluster.lab.cilium(node, ['bpf', 'ipcache', 'get', String(address)])
      return /identity=?\s*(\d+)/.exec(r.stdout)?.[1] ?? r.stdout + r.stderr
    }
    const before = [await identity('node-1', server), await identity('node-2', far)]
    const objects = await cluster.lab.json<{ items: { metadata: { name: string }; status: object }[] }>(['get', 'cep'])
    const of = (name: string) => objects.items.find((o) => o.metadata.name === name)?.status as object
    // On node-1 the server is at home; whatever an object says of node-2, its address stays with it. And the same twice.
    const thief = (name: string, ipv4: string | undefined) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumEndpoint',
      metadata: { name },
      status: {
        ...of('outsider'),
        networking: { ...(of('outsider') as { networking: object }).networking, addressing: [{ ipv4 }] },
      },
    })
    await create([thief('thief-a', server), thief('thief-b', server), thief('thief-c', far), thief('thief-d', far)])
    await create([policy('marker')])
    await cluster.until('the policy after them', async () =>
      (await cluster.lab.cilium('node-1', ['policy', 'get'])).stdout.includes('marker'),
    )
    assert.deepEqual([await identity('node-1', server), await identity('node-2', far)], before)
    const talk = await cluster.client([server as string])
    await sleep(300)
    for (const s of await talk.stop()) assert.ok(s.short > 0 && s.lost + s.refused + s.reset + s.stalled === 0)
    await cluster.lab.tryKubectl(['delete', 'cep', 'thief-a', 'thief-b', 'thief-c', 'thief-d', '--ignore-not-found'])
    await cluster.lab.kubectl(['delete', 'cnp', 'marker'])
    for (const node of cluster.nodes.keys()) await cluster.agentReady(node)
  })

  it('leaves nothing of pods that are deleted while they are added', async () => {
    const before = [await endpoints('node-1'), await links('node-1')]
    const names = Array.from({ length: 12 }, (_, i) => `brief-${i}`)
    await create(names.map((n) => pod(n, 'node-1', ['sleep', 'infinity'])))
    await cluster.lab.kubectl(['delete', 'pod', ...names, '--force', '--grace-period=0', '--wait=false'])
    await cluster.until('their end', async () => {
      const now = [await endpoints('node-1'), await links('node-1')]
      return JSON.stringify(now) === JSON.stringify(before)
    })
    await cluster.until('the end of their objects', async () => {
      const { items } = await cluster.lab.json<{ items: { metadata: { name: string } }[] }>(['get', 'cep'])
      return !items.some((c) => c.metadata.name.startsWith('brief-'))
    })
  })

  it('forgets a node that is deleted, and goes on without it', async () => {
    const [server] = await cluster.podIPs('server')
    const talk = await cluster.client([server as string])
    await cluster.lab.kubectl(['delete', 'node', 'node-2'])
    await cluster.until('the node to be forgotten', async () => {
      const r = await cluster.lab.cilium('node-1', ['node', 'list'])
      return r.code === 0 && !r.stdout.includes('node-2')
    })
    await cluster.until('the end of the route to its pods', async () => {
      const { code, stdout } = await cluster.inside('node-1', ['ip', 'route'])
      return code === 0 && !/10\.244\.1\.0\/24 .*cilium_host/.test(stdout)
    })
    await cluster.agentReady('node-1')
    for (const s of await talk.stop()) assert.ok(s.short > 0 && s.lost + s.refused + s.reset + s.stalled === 0)
  })
})

/** Bytes that are no request; resolves when the other side has closed or nothing more comes. */
function poke(connect: () => net.Socket, text = '\x16\x03\x01garbage\0\xff\r\n\r\n'): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect()
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.end(Buffer.from(text, 'latin1'))
    socket.resume()
    socket.setTimeout(200, () => socket.destroy())
  })
}
