// SPDX-License-Identifier: Apache-2.0
/** Rules about TLS through a stock Envoy: names of servers, TLS that ends at the proxy, secrets and who may see them. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { ask, hostOf, httpPolicy, layer7Policy, type Pods, startPods, until } from './pods.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0

describe('rules about TLS', { timeout: 400_000, skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy' }, () => {
  let lab: Lab
  let pods: Pods
  let folder = ''
  const file = (name: string) => join(folder, name)
  const openssl = async (...args: readonly string[]) => {
    const r = await ran('openssl', args)
    if (r.code !== 0) throw new Error(`openssl ${args.join(' ')}: ${r.stderr}`)
    return r.stdout
  }
  /** An authority, and a certificate of it for some names. */
  async function certificate(ca: string, name: string, names: readonly string[]): Promise<void> {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    await openssl('req', '-x509', ...key, '-subj', `/CN=${ca}`, '-keyout', file(`${ca}.key`), '-out', file(`${ca}.crt`))
    const by = ['-CA', file(`${ca}.crt`), '-CAkey', file(`${ca}.key`)]
    const alt = `subjectAltName=${names.map((n) => `DNS:${n}`).join(',')}`
    const to = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)]
    await openssl('req', '-x509', ...key, ...by, '-subj', `/CN=${name}`, '-addext', alt, ...to)
  }
  const secret = async (namespace: string, name: string, files: Readonly<Record<string, string>>): Promise<void> => {
    const data = Object.fromEntries(
      Object.entries(files).map(([key, from]) => [key, readFileSync(file(from)).toString('base64')]),
    )
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, data }))
  }
  const apply = (text: string) => lab.kubectl(['apply', '-f', '-'], text)
  const drop = (...names: readonly string[]) => lab.kubectl(['delete', 'cnp', ...names])
  /** One request over TLS for a name, believing one authority; status 0: no answer. */
  const get = (client: string, address: string, name: string, path = '/a', ca = 'servers') =>
    ask(lab, client, `https://${name}${path}`, [
      ...['--resolve', `${name}:443:${hostOf(address)}`, '--cacert', file(`${ca}.crt`)],
    ])
  const status = async (...args: Parameters<typeof get>) => (await get(...args)).status
  const first = () => [pods.clients[0]?.name ?? '', pods.servers[1]?.addresses[0] ?? ''] as const

  before(async () => {
    // Containers have a /tmp of their own; the project they see.
    mkdirSync('.cache', { recursive: true })
    folder = mkdtempSync(resolve('.cache/l7tls-'))
    await ran('chmod', ['755', folder])
    await certificate('servers', 'server', ['good.example', 'bad.example', '*.wild.example', 'a.b.wild.example'])
    await certificate('proxies', 'proxy', ['good.example'])
    await certificate('later', 'proxy2', ['good.example'])
    await ran('chmod', ['-R', 'a+r', folder])
    lab = await Lab.up('l7tls', [], 2)
    pods = await startPods(lab, [folder])
  })
  after(async () => {
    await ran('bin/cilium-lab', ['down', '--name', 'l7tls'])
    rmSync(folder, { recursive: true, force: true })
  })

  it('let clients ask for the servers they name and for no other, and the server sees the client', async () => {
    const serverNames = ['good.example', '*.wild.example']
    await apply(layer7Policy('names', 'egress', '443', { serverNames }))
    const [client, server] = first()
    await until('bad.example is closed', async () => (await status(client, server, 'bad.example')) === 0)
    for (const from of pods.clients)
      for (const to of pods.servers)
        for (const [family, address] of to.addresses.entries()) {
          const answer = await get(from.name, address, 'good.example')
          assert.equal(answer.status, 200)
          assert.equal(JSON.parse(answer.body).address, from.addresses[family])
          assert.equal(await status(from.name, address, 'bad.example'), 0)
        }
    assert.equal(await status(client, server, 'a.wild.example'), 200)
    assert.equal(await status(client, server, 'a.b.wild.example'), 0)
    assert.equal((await ask(lab, client, `http://${server}:443/`)).status, 0)
    await drop('names')
  })

  it('are told by name when they refuse, and when they let pass while somebody listens', async () => {
    await apply(layer7Policy('names', 'egress', '443', { serverNames: ['good.example', '*.wild.example'] }))
    const [client, server] = first()
    await until('bad.example is closed', async () => (await status(client, server, 'bad.example')) === 0)
    const by = (how: string) => `\\(${how} CiliumNetworkPolicy/default/names#spec.egress\\[0\\].toPorts\\[0\\]\\)`
    const wanted = (
      [
        ['Forwarded', 'TLS to good.example', 'by'],
        ['Denied', 'TLS to bad.example', 'no match in'],
        ['Denied', 'TLS to a.b.wild.example', 'no match in'],
        ['Denied', 'no name of a server', 'no match in'],
      ] as const
    ).map(
      ([verdict, what, how]) => new RegExp(`-> Request tls from .*role=client.* verdict ${verdict} ${what} ${by(how)}`),
    )
    const asked = async () => {
      for (const name of ['good.example', 'bad.example', 'a.b.wild.example']) await status(client, server, name)
      await ask(lab, client, `http://${server}:443/`)
    }
    await lab.monitor(pods.clients[0]?.node ?? '', 'l7', asked, (told) => wanted.every((line) => line.test(told)))
    await drop('names')
  })

  it('of both ends must both hold, and stand beside rules for HTTP on the same port', async () => {
    await apply(layer7Policy('out', 'egress', '443', { serverNames: ['good.example', 'bad.example'] }))
    await apply(layer7Policy('in', 'ingress', '443', { serverNames: ['good.example', '**.wild.example'] }))
    for (const client of pods.clients)
      for (const server of pods.servers) {
        const address = server.addresses[0] ?? ''
        await until('bad.example is closed', async () => (await status(client.name, address, 'bad.example')) === 0)
        assert.equal(await status(client.name, address, 'good.example'), 200)
        assert.equal(await status(client.name, address, 'a.wild.example'), 0)
      }
    await drop('out')
    await apply(httpPolicy('http', 'ingress', [{ path: '/a' }], '443'))
    const [client, server] = first()
    await until('a.b.wild.example is open', async () => (await status(client, server, 'a.b.wild.example')) === 200)
    // What is not TLS is asked as HTTP; that the server wants TLS is its own affair.
    await until('plain requests are asked', async () => {
      const { status: plain } = await ask(lab, client, `http://${server}:443/b`)
      return plain === 403
    })
    assert.equal(await status(client, server, 'good.example'), 200)
    await drop('in', 'http')
  })

  it('end TLS with one secret and begin it anew with another, and ask requests in between', async () => {
    const [client, server] = first()
    await apply(
      layer7Policy('inside', 'egress', '443', {
        rules: { http: [{ path: '/a' }] },
        terminatingTLS: { secret: { namespace: 'default', name: 'shown' } },
        originatingTLS: { secret: { namespace: 'cilium-secrets', name: 'believed' } },
      }),
    )
    await until('it is closed without secrets', async () => (await status(client, server, 'good.example')) === 0)
    const node = pods.clients[0]?.node ?? ''
    await until('the status says what is missing', async () =>
      /Proxy Status: +Warning, 1 of 1 redirects are closed: secret default\/shown is missing/.test(
        (await lab.cilium(node, ['status'])).stdout,
      ),
    )
    // One that the operator copies, and one where agents look.
    await secret('default', 'shown', { 'tls.crt': 'proxy.crt', 'tls.key': 'proxy.key' })
    await secret('cilium-secrets', 'believed', { 'ca.crt': 'servers.crt' })
    const asked = (path: string, ca = 'proxies') => get(client, server, 'good.example', path, ca)
    await until('requests pass', async () => (await asked('/a')).status === 200)
    assert.equal(JSON.parse((await asked('/a')).body).address, pods.clients[0]?.addresses[0])
    assert.deepEqual(await asked('/b'), { status: 403, body: 'Access denied\r\n' })
    assert.equal((await asked('/a', 'servers')).status, 0)
    // Another certificate reaches the next connection.
    await secret('default', 'shown', { 'tls.crt': 'proxy2.crt', 'tls.key': 'proxy2.key' })
    await until('the new certificate is shown', async () => (await asked('/a', 'later')).status === 200)
    // A server that nobody vouches for gets nothing.
    await secret('cilium-secrets', 'believed', { 'ca.crt': 'later.crt' })
    await until('the server is not believed', async () => (await asked('/a', 'later')).status === 503)
  })

  it('of both ends are asked where that of the client ends TLS, on the same node and across nodes', async () => {
    const terminatingTLS = { secret: { namespace: 'default', name: 'shown' } }
    await apply(layer7Policy('ends', 'egress', '80', { rules: { http: [{ path: '/(a|b)' }] }, terminatingTLS }))
    await apply(httpPolicy('plain', 'ingress', [{ path: '/(a|c)' }]))
    for (const { addresses } of pods.servers)
      for (const address of addresses) {
        const asked = async (path: string) => {
          const trust = ['--resolve', `good.example:80:${hostOf(address)}`, '--cacert', file('later.crt')]
          return (await ask(lab, first()[0], `https://good.example:80${path}`, trust)).status
        }
        await until('both are asked', async () => (await asked('/a')) === 200 && (await asked('/b')) === 403)
        assert.equal(await asked('/c'), 403)
      }
    await drop('ends', 'plain')
  })

  it('keep what secrets hold to themselves', async () => {
    const node = pods.clients[0]?.node ?? ''
    const key = readFileSync(file('proxy2.key'), 'utf8').split('\n')[1] ?? 'none'
    const shown = [
      ['policy', 'get'],
      ['debuginfo'],
      ['status', '--verbose'],
      ['statedb', 'dump', 'envoyListeners'],
      ['envoy', 'admin', 'config'],
    ]
    for (const command of shown) {
      const { stdout, stderr } = await lab.cilium(node, command)
      assert.ok((stdout + stderr).length > 20, command.join(' '))
      assert.ok(!(stdout + stderr).includes(key), `${command.join(' ')} shows a key`)
      assert.ok(!(stdout + stderr).includes(Buffer.from(key).toString('base64').slice(4, 40)))
    }
    const logs = await lab.kubectl(['-n', 'kube-system', 'logs', '-l', 'k8s-app=cilium', '--tail=-1'])
    assert.ok(logs.length > 100 && !logs.includes(key))
    await drop('inside')
  })

  it('compare headers with what a secret holds, and with nothing while there is none', async () => {
    const [client, server] = first()
    await apply(
      httpPolicy('h', 'ingress', [
        { path: '/a', headerMatches: [{ name: 'X-Token', secret: { namespace: 'default', name: 'token' } }] },
      ]),
    )
    const asked = async (...args: string[]) => (await ask(lab, client, `http://${server}/a`, args)).status
    await until('it is closed', async () => (await asked('-H', 'X-Token: anything')) === 403)
    const data = { value: Buffer.from('open sesame').toString('base64') }
    const metadata = { namespace: 'default', name: 'token' }
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, data }))
    await until('the value opens', async () => (await asked('-H', 'X-Token: open sesame')) === 200)
    assert.deepEqual([await asked(), await asked('-H', 'X-Token: anything')], [403, 403])
    const { stdout } = await lab.cilium(pods.servers[1]?.node ?? '', ['envoy', 'admin', 'config', 'routes'])
    assert.match(stdout, /x-token[^}]*\[redacted\]/)
    assert.ok(!stdout.includes('open sesame'))
    const copies = async () => (await lab.kubectl(['-n', 'cilium-secrets', 'get', 'secrets', '-o', 'name'])).split('\n')
    assert.ok((await copies()).includes('secret/default-token'))
    await drop('h')
    await until('the copy goes with the policy', async () => !(await copies()).includes('secret/default-token'))
    assert.ok((await copies()).includes('secret/believed'), 'what is no copy stays')
  })
})
