// SPDX-License-Identifier: Apache-2.0
/** The lab itself, without a network for its pods: what it makes, that labs do not disturb each other, that nothing stays. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { type Ran, ran } from '../../ran.ts'
import { until } from '../l7/pods.ts'

const lab = (args: readonly string[]): Promise<Ran> => ran('bin/cilium-lab', args)

/** The machine's, which agents move for moments. */
const hurried = '/sys/kernel/rcu_expedited'

/** All that could stay behind: links, processes, cgroups, mounts, files. */
const traces = async (name: string): Promise<readonly string[]> => {
  const { stdout } = await ran('ip', ['-o', 'link', 'show'])
  const links = stdout.split('\n').filter((l) => l.includes(`clab-${name}`) || l.includes(`cl${name}.`))
  const trees = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((l) => l.split(' '))
    .filter((m) => m[2] === 'cgroup' || m[2] === 'cgroup2')
  const cgroups = trees.map((m) => `${m[1]}/cilium-lab/${name}`).filter(existsSync)
  const files = [`/run/cilium-lab/${name}`].filter(existsSync)
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((l) => l.includes(`cilium-lab/${name}/`))
  return [...links, ...processes(name).map((p) => `process ${p}`), ...cgroups, ...files, ...mounts]
}

/** Processes of a lab, found by their cgroup. */
const processes = (name: string): readonly number[] =>
  readdirSync('/proc')
    .filter((d) => /^\d+$/.test(d))
    .filter((d) => {
      try {
        const ended = /^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${d}/stat`, 'utf8'))
        return !ended && readFileSync(`/proc/${d}/cgroup`, 'utf8').includes(`/cilium-lab/${name}/`)
      } catch {
        return false
      }
    })
    .map(Number)

const hostPod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name}}}
spec:
  hostNetwork: true
  tolerations: [{operator: Exists}]
  containers: [{name: c, image: nginx}]
`

describe('the lab', { timeout: 120_000 }, () => {
  after(async () => {
    await lab(['down', '--name', 'one'])
    await lab(['down', '--name', 'two'])
  })

  it('runs two labs side by side with the same kinds of objects and different ones', async () => {
    const [one, two] = await Promise.all([Lab.up('one', ['--bare'], 2), Lab.up('two', ['--bare'], 3)])
    assert.deepEqual(await one.nodes(), ['node-1', 'node-2'])
    assert.deepEqual(await two.nodes(), ['node-1', 'node-2', 'node-3'])
    await one.kubectl(['create', '-f', '-'], hostPod('a'))
    await two.kubectl(['create', '-f', '-'], hostPod('b'))
    await one.kubectl(['wait', '--for=condition=Ready', 'pod/a', '--timeout=20s'])
    await two.kubectl(['wait', '--for=condition=Ready', 'pod/b', '--timeout=20s'])
    assert.equal((await one.kubectl(['get', 'pods', '-o', 'name'])).trim(), 'pod/a')
    assert.equal((await two.kubectl(['get', 'pods', '-o', 'name'])).trim(), 'pod/b')
  })

  it('refuses to start what is up, and says what to do', async () => {
    const again = await lab(['up', '--bare', '--name', 'one'])
    assert.equal(again.code, 1)
    assert.match(again.stderr, /is up already; `cilium-lab down --name one`/)
  })

  it('gives each node an eth0 of its own on one wire, with both families', async () => {
    const two = await Lab.of('two', '1.34')
    const pod = await two.json<{ spec: { nodeName: string }; status: { hostIPs: { ip: string }[] } }>([
      'get',
      'pod',
      'b',
    ])
    const other = (await two.nodes()).find((n) => n !== pod.spec.nodeName) ?? ''
    const addresses = pod.status.hostIPs.map((a) => a.ip)
    assert.deepEqual(
      addresses.map((a) => a.includes(':')),
      [false, true],
    )
    for (const address of addresses) {
      const url = `http://${address.includes(':') ? `[${address}]` : address}/`
      const got = await ran('bin/cilium-lab', [
        'nsenter',
        '--name',
        'two',
        other,
        '--',
        'curl',
        '-sS',
        '--connect-timeout',
        '2',
        url,
      ])
      assert.equal(got.code, 0, `${url}: ${got.stderr}`)
    }
  })

  it('runs host programs inside a node, with its files, its links and their exit code', async () => {
    const inside = (...command: string[]) =>
      ran('bin/cilium-lab', ['nsenter', '--name', 'one', 'node-2', '--', ...command])
    assert.match((await inside('ip', '-br', 'link')).stdout, /^eth0/m)
    assert.match((await inside('cat', '/etc/hosts')).stdout, /node-1/)
    assert.equal((await inside('sh', '-c', 'exit 7')).code, 7)
    assert.equal((await inside('no-such-program')).code, 127)
    assert.equal(
      (await lab(['cni', '--name', 'one', 'node-2'])).stdout.trim(),
      'NETCONFPATH=/etc/cni/net.d CNI_PATH=/opt/cni/bin',
    )
  })

  it('starts anew after everything was killed, and the other lab does not notice', async () => {
    // As an agent leaves it that is killed in the moment in which it hurries the kernel.
    if (existsSync(hurried)) writeFileSync(hurried, '1')
    for (const pid of processes('one')) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended with its node.
      }
    }
    assert.equal((await lab(['status', '--name', 'one'])).code, 1)
    const one = await Lab.up('one', ['--bare'], 1)
    assert.deepEqual(await one.nodes(), ['node-1'])
    const two = await Lab.of('two', '1.34')
    assert.equal((await two.kubectl(['get', 'pod', 'b', '-o', 'jsonpath={.status.phase}'])).trim(), 'Running')
    // Agents of other labs may have it moved right now.
    if (existsSync(hurried)) await until('it is put back', async () => readFileSync(hurried, 'utf8').trim() === '0')
  })

  it('leaves nothing behind', async () => {
    for (const name of ['one', 'two']) {
      assert.notDeepEqual(await traces(name), [])
      assert.equal((await lab(['down', '--name', name])).code, 0)
      assert.deepEqual(await traces(name), [])
    }
  })

  it('says what is wrong with what was typed', async () => {
    for (const [args, expected] of [
      [['up', '--nodes', '21'], /a number from 1 to 20/],
      [['up', '--name', 'Not_Good'], /up to ten of a-z/],
      [['up', '--image', 'nginx'], /NAME=PROGRAM is needed/],
      [['kubeconfig', '--name', 'one'], /is not up; `cilium-lab up --name one` starts it/],
    ] as const) {
      const said = await lab(args)
      assert.equal(said.code, 1, args.join(' '))
      assert.match(said.stderr, expected)
      assert.doesNotMatch(said.stderr, /\n\s+at /)
    }
  })
})
