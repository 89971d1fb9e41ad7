// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { type Bench, openBench, versions } from './kubectl.ts'

let bench: Bench
let target: Server
before(async () => {
  bench = await openBench()
  const { store } = bench.api
  const containers = [
    { name: 'main', image: 'example.org/a' },
    { name: 'side', image: 'example.org/b' },
  ]
  store.create('pods', { metadata: { namespace: 'default', name: 'p' }, spec: { nodeName: 'n', containers } })
  store.modify('pods', 'default', 'p', (pod) => ({ ...pod, status: { phase: 'Running' } }), { subresource: 'status' })
  // Answers a megabyte to whoever connects, once it has read a line.
  target = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.alloc(1 << 20, 'x')))
  })
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
})
after(async () => {
  target.close()
  await bench.close()
})

const port = (): number => (target.address() as { port: number }).port

for (const version of versions) {
  for (const [name, websockets] of [
    ['WebSocket', 'true'],
    ['SPDY', 'false'],
  ] as const) {
    const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets, KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets }
    const run = (args: readonly string[], input?: string) => bench.kubectl(version, args, input, env)

    test(`kubectl 1.${version} execs over ${name}: output, input, exit code, refusal`, async () => {
      assert.deepEqual(await run(['exec', 'p', '-c', 'side', '--', 'ls', '-l']), {
        code: 0,
        stdout: 'default/p/side: ls -l\n',
        stderr: '',
      })
      const failed = await run(['exec', 'p', '-c', 'main', '--', 'fail', '7'])
      assert.equal(failed.code, 7)
      assert.match(failed.stderr, /it failed\ncommand terminated with exit code 7/)
      const text = 'line\n'.repeat(20_000)
      assert.equal((await run(['exec', '-i', 'p', '-c', 'main', '--', 'cat'], text)).stdout, text)
      assert.match((await run(['exec', 'p', '-c', 'nope', '--', 'ls'])).stderr, /container nope is not valid for pod p/)
      assert.match((await run(['exec', 'q', '--', 'ls'])).stderr, /pods "q" not found/)
    })

    test(`kubectl 1.${version} forwards a port over ${name}: a megabyte comes whole`, async () => {
      const child = bench.start(version, ['port-forward', 'pod/p', `:${port()}`], env)
      try {
        const [line] = (await once(child.stdout!, 'data')) as [string]
        const local = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1])
        const { createConnection } = await import('node:net')
        const socket = createConnection(local, '127.0.0.1')
        socket.write('hello\n')
        let length = 0
        for await (const part of socket) length += (part as Buffer).length
        assert.equal(length, 1 << 20)
      } finally {
        child.kill()
      }
    })
  }

  test(`kubectl 1.${version} reads logs, and must name one of several containers`, async () => {
    const { stdout } = await bench.kubectl(version, ['logs', 'p', '-c', 'side', '--tail=3', '--timestamps'])
    assert.equal(stdout, 'log of p/side {"tailLines":3,"previous":false,"timestamps":true}\n')
  })
}
