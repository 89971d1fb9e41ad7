// SPDX-License-Identifier: Apache-2.0
// How the agent ends when it can not work: one sentence for each thing that is missing, and nothing left behind.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const root = new URL('../../..', import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), 'cilium-agent-start-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const program = [join(root, 'bin/cilium-agent')]
const places = [`--state-dir=${dir}/run`, `--socket-path=${dir}/run/cilium.sock`, '--agent-health-port=0']

function agent(
  args: readonly string[],
  before: readonly string[] = [],
): Promise<{ code: number | null; said: string }> {
  const [command = '', ...rest] = [...before, ...program, ...places, ...args]
  const env = { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', K8S_NODE_NAME: 'nowhere' }
  return new Promise((resolve) => {
    const child = execFile(command, rest, { env, timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, said: stdout + stderr }),
    )
  })
}
/** A network and a mount namespace that end with the program. */
const apart = ['unshare', '-n', '-m', '--propagation', 'private']
const unprivileged = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

test('without privileges it says which ones to give', async () => {
  const { code, said } = await agent(['--enable-k8s=false'], unprivileged)
  assert.equal(code, 1)
  assert.match(said, /lacks what the datapath needs/)
  assert.match(said, /run as root, or give the process CAP_BPF/)
})

test('a BPF file system that can not be is named together with how to mount it', async () => {
  const { code, said } = await agent(['--enable-k8s=false', '--bpf-root=/dev/null/bpf'], apart)
  assert.equal(code, 1)
  assert.match(said, /bpffs \(\/dev\/null\/bpf\): mount it: mount -t bpf/)
})

test('without a way to Kubernetes it names the three there are', async () => {
  const { code, said } = await agent(['--bpf-root=/sys/fs/bpf'], apart)
  assert.equal(code, 1)
  assert.match(said, /neither --k8s-kubeconfig-path, --k8s-api-server nor KUBERNETES_SERVICE_HOST/)
})

test('all wrong options are named at once, and nothing is touched', async () => {
  rmSync(`${dir}/run`, { recursive: true, force: true })
  const { code, said } = await agent(['--routing-mod=native', '--tunnel-port=0', '--enable-wireguard=true'])
  assert.equal(code, 1)
  assert.match(said, /did you mean --routing-mode\?/)
  assert.match(said, /--tunnel-port: "0" is not a whole number/)
  assert.match(said, /--enable-wireguard: this version does not have it/)
  assert.ok(!existsSync(`${dir}/run`))
})
