// SPDX-License-Identifier: Apache-2.0
// The CNI plugin as a runtime runs it, against a fake agent's socket.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'

const root = new URL('../../..', import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), 'cilium-cni-test-'))
const plugin = join(dir, 'cilium-cni')
execFileSync('gcc', [
  '-std=gnu17',
  '-O1',
  '-static',
  '-o',
  plugin,
  ...['cilium-cni.c', 'agent.c', 'text.c'].map((f) => join(root, 'native/cni', f)),
])
after(() => rmSync(dir, { recursive: true, force: true }))

interface Run {
  readonly code: number | null
  readonly out: Record<string, unknown>
  readonly text: string
}

let counter = 0
function scratch() {
  const at = join(dir, String(++counter))
  return {
    socket: `${at}.sock`,
    queue: `${at}.queue`,
    log: `${at}.log`,
    config: (fields: object = {}): string =>
      JSON.stringify({
        cniVersion: '1.1.0',
        name: 'cilium',
        type: 'cilium-cni',
        'socket-path': `${at}.sock`,
        'delete-queue': `${at}.queue`,
        'log-file': `${at}.log`,
        'agent-wait-milliseconds': 0,
        ...fields,
      }),
  }
}

function run(command: string, stdin: string | Buffer, env: Record<string, string> = {}): Promise<Run> {
  const usual = { CNI_CONTAINERID: 'c0ffee', CNI_IFNAME: 'eth0', CNI_NETNS: '/var/run/netns/x' }
  const child = spawn(plugin, [], {
    env: { CNI_COMMAND: command, ...usual, ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => {}) // the plugin may refuse before it has read all
  child.stdin.end(stdin)
  let text = ''
  child.stdout.on('data', (c) => (text += c))
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code, text, out: text === '' ? {} : JSON.parse(text) })),
  )
}

async function agent(t: TestContext, socket: string, reply: (body: string, response: http.ServerResponse) => void) {
  const requests: { method: string | undefined; url: string | undefined; body: string }[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (c) => (body += c))
    request.on('end', () => {
      requests.push({ method: request.method, url: request.url, body })
      reply(body, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { requests, server }
}

test('VERSION answers without an agent, without a configuration', async () => {
  const { code, out } = await run('VERSION', '')
  assert.equal(code, 0)
  assert.deepEqual(out, { cniVersion: '1.1.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] })
})

test("ADD hands environment and configuration to the agent and prints the agent's result", async (t) => {
  const at = scratch()
  const result = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0' }],
    ips: [{ address: '10.0.0.1/32', interface: 0 }],
  }
  const { requests } = await agent(t, at.socket, (_, r) => r.end(JSON.stringify(result)))
  const config = at.config({ odd: ['ä', '\n', { deep: [1.5e3, true, null] }] })
  const { code, out } = await run('ADD', config, { CNI_ARGS: 'K8S_POD_NAME=a"b\\c;X=\u0001', CNI_PATH: '/opt/cni/bin' })
  assert.equal(code, 0)
  assert.deepEqual(out, result)
  assert.equal(`${requests[0]?.method} ${requests[0]?.url}`, 'POST /v1/cni')
  assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
    command: 'ADD',
    containerID: 'c0ffee',
    netns: '/var/run/netns/x',
    ifname: 'eth0',
    args: 'K8S_POD_NAME=a"b\\c;X=\u0001',
    path: '/opt/cni/bin',
    config: JSON.parse(config),
  })
  assert.match(readFileSync(at.log, 'utf8'), /command=ADD container=c0ffee .* outcome=ok/)
})

test('an error of the agent is printed as it is and fails the plugin', async (t) => {
  const at = scratch()
  const error = { cniVersion: '1.1.0', code: 11, msg: 'no addresses left', details: '10.0.0.0/24' }
  await agent(t, at.socket, (_, r) => r.end(JSON.stringify(error)))
  assert.deepEqual(await run('ADD', at.config()), { code: 1, out: error, text: `${JSON.stringify(error)}\n` })
})

test('DEL with an empty answer succeeds in silence', async (t) => {
  const at = scratch()
  await agent(t, at.socket, (_, r) => r.end())
  assert.deepEqual(await run('DEL', at.config()), { code: 0, out: {}, text: '' })
  assert.ok(!existsSync(at.queue))
})

test('with the agent away ADD, CHECK and GC say try again (11) and STATUS not available (50)', async () => {
  const at = scratch()
  for (const [command, expected] of [
    ['ADD', 11],
    ['CHECK', 11],
    ['GC', 11],
    ['STATUS', 50],
  ] as const) {
    const { code, out } = await run(command, at.config())
    assert.equal(code, 1)
    assert.equal(out['code'], expected, command)
    assert.match(String(out['msg']), /agent is not running/)
  }
})

test('with the agent away DEL is kept in the queue and succeeds, twice as well', async () => {
  const at = scratch()
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await run('DEL', at.config(), { CNI_NETNS: '' }), { code: 0, out: {}, text: '' })
  assert.deepEqual(readdirSync(at.queue), ['c0ffee-eth0.delete'])
  const kept = JSON.parse(readFileSync(join(at.queue, 'c0ffee-eth0.delete'), 'utf8'))
  assert.equal(kept.command, 'DEL')
  assert.equal(kept.containerID, 'c0ffee')
  assert.equal(kept.config.name, 'cilium')
})

test('an agent that dies in the middle of a DEL leaves the DEL in the queue', async (t) => {
  const at = scratch()
  const { server } = await agent(t, at.socket, (_, r) => {
    server.close()
    rmSync(at.socket, { force: true })
    r.destroy()
  })
  assert.equal((await run('DEL', at.config())).code, 0)
  assert.equal(readdirSync(at.queue).length, 1)
})

test('a queue that can not be written makes DEL fail with an I/O error (5)', async () => {
  const at = scratch()
  const { code, out } = await run('DEL', at.config({ 'delete-queue': '/proc/none' }))
  assert.equal(code, 1)
  assert.equal(out['code'], 5)
})

test('ADD waits for an agent that is about to listen', async (t) => {
  const at = scratch()
  const pending = run('ADD', at.config({ 'agent-wait-milliseconds': 5000 }))
  await new Promise((r) => setTimeout(r, 100))
  await agent(t, at.socket, (_, r) => r.end('{"cniVersion":"1.1.0"}'))
  assert.equal((await pending).code, 0)
})

test('a configuration that is no JSON object is refused with code 6, whatever it looks like', async () => {
  const bad = [
    '',
    ' ',
    'x',
    '[]',
    '{',
    '{"a":1,}',
    '{"a" 1}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{} {}',
    '{"a":tru}',
    '"a"',
    '{"a":1.}',
  ]
  for (const text of [...bad, `{"a":${'['.repeat(100_000)}`, Buffer.from([0, 255, 254])]) {
    const { code, out } = await run('ADD', text)
    assert.equal(code, 1)
    assert.equal(out['code'], 6, JSON.stringify(String(text).slice(0, 20)))
  }
})

test('a configuration above the limit is refused', async () => {
  const { code, out } = await run('ADD', `{"a":"${'x'.repeat(5 << 20)}"}`)
  assert.equal(code, 1)
  assert.equal(out['code'], 5)
})

test('missing or impossible variables are refused with code 4 and named', async () => {
  const at = scratch()
  const cases: [string, Record<string, string>, string][] = [
    ['ADD', { CNI_CONTAINERID: '' }, 'CNI_CONTAINERID'],
    ['ADD', { CNI_CONTAINERID: '../../etc/x' }, 'CNI_CONTAINERID'],
    ['DEL', { CNI_CONTAINERID: 'a/b' }, 'CNI_CONTAINERID'],
    ['ADD', { CNI_NETNS: '' }, 'CNI_NETNS'],
    ['CHECK', { CNI_NETNS: '' }, 'CNI_NETNS'],
    ['DEL', { CNI_IFNAME: '' }, 'CNI_IFNAME'],
    ['ADD', { CNI_IFNAME: 'sixteen-letters.' }, 'CNI_IFNAME'],
    ['ADD', { CNI_IFNAME: 'a/b' }, 'CNI_IFNAME'],
    ['ADD', { CNI_IFNAME: '..' }, 'CNI_IFNAME'],
    ['NONE', {}, 'CNI_COMMAND'],
    ['', {}, 'CNI_COMMAND'],
  ]
  for (const [command, env, named] of cases) {
    const { code, out } = await run(command, at.config(), env)
    assert.equal(code, 1)
    assert.equal(out['code'], 4, `${command} ${JSON.stringify(env)}`)
    assert.match(String(out['msg']), new RegExp(named))
  }
})

test('versions that are not supported are refused with code 1, a configuration without a name with 7', async () => {
  const at = scratch()
  const codes = async (command: string, fields: object) => (await run(command, at.config(fields))).out['code']
  assert.equal(await codes('ADD', { cniVersion: '0.2.0' }), 1)
  assert.equal(await codes('ADD', { cniVersion: '2.0.0' }), 1)
  assert.equal(await codes('ADD', { cniVersion: undefined }), 1)
  assert.equal(await codes('STATUS', { cniVersion: '1.0.0' }), 1)
  assert.equal(await codes('ADD', { name: undefined }), 7)
})

test('an agent that answers nonsense or HTTP errors gives a valid error that can be tried again', async (t) => {
  const at = scratch()
  let reply = (r: http.ServerResponse) => void r.end('surprise')
  await agent(t, at.socket, (_, r) => reply(r))
  assert.equal((await run('ADD', at.config())).out['code'], 11)
  reply = (r) => {
    r.writeHead(500)
    r.end('broken "badly"')
  }
  const { out } = await run('ADD', at.config())
  assert.equal(out['code'], 11)
  assert.match(String(out['details']), /broken "badly"/)
})
