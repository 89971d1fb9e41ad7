// SPDX-License-Identifier: Apache-2.0
// A machine that lacks something: agent and lab say what, and how to get it, and leave nothing.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const root = new URL('../../..', import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), 'cilium-missing-'))
after(() => rmSync(dir, { recursive: true, force: true }))

function run(command: readonly string[]): Promise<{ code: number | null; said: string }> {
  const [program = '', ...args] = command
  const env = { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', K8S_NODE_NAME: 'nowhere' }
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, said: stdout + stderr }),
    )
  })
}

/** In a network and a mount namespace of its own, after a change of its mounts. */
const within = (change: string, rest: readonly string[]): readonly string[] => [
  ...['unshare', '-n', '-m', '--propagation', 'private', 'sh', '-c'],
  `${change} && exec "$@"`,
  'sh',
  ...rest,
]
const hiding = (path: string, rest: readonly string[]) => within(`mount -t tmpfs none ${path}`, rest)
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const agent = [
  join(root, 'bin/cilium-agent'),
  ...['--enable-k8s=false', `--state-dir=${dir}/run`, `--socket-path=${dir}/run/cilium.sock`, '--agent-health-port=0'],
]
const lab = [join(root, 'bin/cilium-lab'), 'up', '--name', 'missing', '--nodes', '1']

const cases: readonly (readonly [what: string, command: readonly string[], says: RegExp])[] = [
  [
    'an agent without BTF',
    hiding('/sys/kernel/btf', agent),
    /btf \(.*vmlinux\): use a kernel built with CONFIG_DEBUG_INFO_BTF/,
  ],
  [
    'an agent without cgroup v2',
    hiding('/sys/fs/cgroup', agent),
    /cgroup2 \(\/sys\/fs\/cgroup\): mount it: mount -t cgroup2 none \/sys\/fs\/cgroup; or .*--cgroup-root/,
  ],
  [
    'an agent with a BPF file system that can not be written',
    within('mount -t bpf none /sys/fs/bpf && mount -o remount,ro /sys/fs/bpf', agent),
    /bpffs \(\/sys\/fs\/bpf, read-only\): mount -o remount,rw \/sys\/fs\/bpf/,
  ],
  [
    'an agent whose sysctls can not be written',
    within('mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys', agent),
    /sysctl net\.\S+ is \d+ and has to be \d+, but \/proc\/sys is read-only here: .*--procfs/,
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

test('a read-only /sys is enough for an agent: it starts, answers and ends, also where one before it was killed', async () => {
  mkdirSync(join(dir, 'run/state'), { recursive: true })
  writeFileSync(join(dir, 'run/state/rcu_expedited'), '') // the switch of the kernel that it would put back
  const [program = '', ...args] = within(
    'mount -t bpf none /sys/fs/bpf && mount --rbind /sys /sys && mount -o remount,ro,bind /sys',
    agent,
  )
  const env = { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', K8S_NODE_NAME: 'nowhere' }
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
  try {
    while (!/started/.test(said) && child.exitCode === null) await sleep(50)
    assert.match(said, /started/)
    assert.ok(existsSync(`${dir}/run/cilium.sock`))
  } finally {
    child.kill('SIGTERM')
  }
  assert.equal(await ended, 0, said)
})
