// SPDX-License-Identifier: Apache-2.0
// A machine that lacks something: agent and lab say what, and how to get it, and leave nothing.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const root = new URL('../../..', import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), 'cilium-missing-'))
after(() => rmSync(dir, { recursive: true, force: true }))

function run(command: readonly string[]): Promise<{ code: number | null; said: string }> {
  const [program = '', ...args] = command
  const env = { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', K8S_NODE_NAME: 'nowhere' }
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, timeout: 30_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, said: stdout + stderr }),
    )
  })
}

const hiding = (path: string, rest: readonly string[]): readonly string[] => [
  ...['unshare', '-n', '-m', '--propagation', 'private', 'sh', '-c'],
  `mount -t tmpfs none ${path} && exec "$@"`,
  'sh',
  ...rest,
]
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const agent = [
  join(root, 'node_modules/.bin/node'),
  join(root, 'src/apps/agent/main.ts'),
  ...['--enable-k8s=false', `--state-dir=${dir}/run`, `--socket-path=${dir}/run/cilium.sock`, '--agent-health-port=0'],
]
const lab = [join(root, 'bin/cilium-lab'), 'up', '--name', 'missing', '--nodes', '1']

const cases: readonly (readonly [what: string, command: readonly string[], says: RegExp])[] = [
  [
    'an agent without BTF',
    hiding('/sys/kernel/btf', agent),
    /btf \(.*vmlinux\): use a kernel built with CONFIG_DEBUG_INFO_BTF/,
  ],
  ['a lab without BTF', hiding('/sys/kernel/btf', lab), /CONFIG_DEBUG_INFO_BTF/],
  ['a lab without root', [...nobody, ...lab], /run it as root/],
]
for (const [what, command, says] of cases)
  test(`${what} ends with a sentence that says how to get it`, async (t) => {
    if (command[0] === nobody[0] && (await run([...nobody, 'test', '-r', join(root, 'package.json')])).code !== 0)
      return t.skip('others than root can not read this checkout')
    const { code, said } = await run(command)
    assert.equal(code, 1)
    assert.match(said, says)
    assert.doesNotMatch(said, /\n\s+at .*\.[jt]s:\d/, 'no stack')
    assert.ok(!existsSync('/run/cilium-lab/missing'))
  })
