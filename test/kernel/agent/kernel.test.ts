// SPDX-License-Identifier: Apache-2.0
// What the agent says of the kernel it runs on: what it lacks, what stands in for that, or that it is too old.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isOlder, kernelRelease } from '../../../src/edge/kernel/features.ts'

const root = join(import.meta.dirname, '../../..')
const dir = mkdtempSync(join(tmpdir(), 'cilium-agent-kernel-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const socket = `${dir}/run/cilium.sock`
const agent = [
  join(root, 'bin/cilium-agent'),
  ...['--enable-k8s=false', `--state-dir=${dir}/run`, `--socket-path=${socket}`, '--agent-health-port=0'],
]
const { PATH, NODE_COMPILE_CACHE } = process.env
const env = { PATH, K8S_NODE_NAME: 'nowhere', ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}) }
/** In a network and a mount namespace of its own, with a BPF file system that ends with it. */
const apart = (...words: readonly string[]) =>
  spawn(
    'unshare',
    ['-n', '-m', '--propagation', 'private', 'sh', '-c', 'mount -t bpf none /sys/fs/bpf && exec "$@"', 'sh', ...words],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  )
const collect = (child: ReturnType<typeof apart>): { text: string } => {
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      said.text += part
    })
  return said
}

test('status says how programs are attached here, and what stands in for what the kernel lacks', async () => {
  const child = apart(...agent)
  const said = collect(child)
  const ended = once(child, 'close')
  // It ends with 1 while the agent is not ready; without a cluster this one never is.
  const status = async (...words: readonly string[]) =>
    (
      await promisify(execFile)(join(root, 'bin/cilium-dbg'), ['-H', `unix://${socket}`, 'status', ...words], {
        env,
      }).catch((error: { stdout: string }) => error)
    ).stdout
  try {
    while (!existsSync(socket) && child.exitCode === null) await sleep(50)
    assert.equal(child.exitCode, null, said.text)
    const told = JSON.parse(await status('-o', 'json')) as Record<'attach-mode' | 'kernel-fallbacks', unknown>
    const text = /^Attach Mode: +(.*)$/m.exec(await status())?.[1]
    const instead = 'without tcx (Linux 6.6): programs are attached to devices as filters of traffic control (clsact)'
    if (isOlder(kernelRelease(), '6.6')) {
      assert.deepEqual([told['attach-mode'], told['kernel-fallbacks']], ['TC', [instead]])
      assert.equal(text, `TC   ${instead}`)
      assert.ok(said.text.includes(`kernel ${instead}`), `the log says it too: ${said.text}`)
    } else {
      assert.deepEqual([told['attach-mode'], told['kernel-fallbacks']], ['TCX', []])
      assert.equal(text, 'TCX')
    }
  } finally {
    child.kill('SIGTERM')
  }
  assert.deepEqual(await ended, [0, null], said.text)
})

test('below the oldest supported kernel it ends with a sentence that says so, before it has made anything', async () => {
  rmSync(`${dir}/run`, { recursive: true, force: true })
  const child = apart('setarch', '--uname-2.6', ...agent) // uname says 2.6 to what is started so
  const said = collect(child)
  assert.deepEqual(await once(child, 'close'), [1, null])
  assert.match(said.text, /^ {2}kernel \(Linux 2\.6\.\S+\): it is too old: this datapath needs Linux 6\.1 or newer$/m)
  assert.doesNotMatch(said.text, /\n\s+at .*\.[jt]s:\d/, 'no stack')
  assert.ok(!existsSync(`${dir}/run`))
})
