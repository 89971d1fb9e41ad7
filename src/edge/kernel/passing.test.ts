// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectPassing, listenPassing, type Passing } from './passing.ts'

const isRoot = process.getuid?.() === 0

test('files go along with messages, and stay open when whoever sent them has gone', {
  skip: isRoot ? false : 'needs CAP_NET_ADMIN',
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'passing-'))
  const path = join(directory, 's')
  assert.equal(connectPassing(path, { take() {}, closed() {} }), undefined, 'nobody listens yet')
  const said: string[] = []
  const files: number[] = []
  let server: Passing | undefined
  let finish: () => void = () => {}
  const ended = new Promise<void>((resolve) => (finish = resolve))
  const listener = listenPassing(path, (open) => {
    server = open({
      take(text, some) {
        said.push(text)
        files.push(...some)
      },
      closed: finish,
    })
    server.send('welcome')
  })
  const heard: string[] = []
  const client = connectPassing(path, { take: (text) => void heard.push(text), closed() {} })
  assert.ok(client)
  writeFileSync(join(directory, 'a'), 'content')
  const own = openSync(join(directory, 'a'), 'r')
  assert.equal(client.send('two', [own, own]), true)
  closeSync(own)
  // More than any queue of datagrams holds, while nobody reads.
  for (let i = 0; i < 2000; i++) assert.equal(client.send('x'.repeat(100)), true)
  while (heard.length === 0) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  await ended
  assert.deepEqual([heard, said.length, said[0], files.length], [['welcome'], 2001, 'two', 2])
  const bytes = Buffer.alloc(7)
  assert.equal(readSync(files[1] as number, bytes, 0, 7, 0), 7)
  assert.equal(bytes.toString(), 'content')
  assert.equal(server?.send('late'), false)
  for (const file of files) closeSync(file)
  listener.close()
  rmSync(directory, { recursive: true })
})
