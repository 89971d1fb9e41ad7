// SPDX-License-Identifier: Apache-2.0
/** The walk-through in every mode of `cilium-lab up`, families and routing, each where one was killed with pods in it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { until } from '../l7/pods.ts'

const land = [
  'curl',
  '-s',
  '--connect-timeout',
  '2',
  '-XPOST',
  'deathstar.default.svc.cluster.local/v1/request-landing',
]

/** Ships land, a policy keeps the alliance away, and without it they land again. */
const walk = async (lab: Lab) => {
  const lands = async (ship: string) => (await lab.tryKubectl(['exec', ship, '--', ...land])).stdout.trim()
  await lab.kubectl(['create', '-f', 'examples/star-wars/app.yaml'])
  await lab.kubectl(['rollout', 'status', 'deployment/deathstar', '--timeout=60s'])
  await lab.kubectl(['wait', '--for=condition=Ready', 'pod/tiefighter', 'pod/xwing', '--timeout=60s'])
  assert.deepEqual([await lands('xwing'), await lands('tiefighter')], ['Ship landed', 'Ship landed'])
  await lab.kubectl(['create', '-f', 'examples/star-wars/policy-l3-l4.yaml'])
  await until('the alliance does not land', async () => (await lands('xwing')) === '')
  assert.deepEqual([await lands('xwing'), await lands('tiefighter')], ['', 'Ship landed'])
  await lab.kubectl(['delete', 'cnp', 'rule1'])
  await until('it lands again', async () => (await lands('xwing')) === 'Ship landed')
}

const addressesOf = async (lab: Lab): Promise<string> => {
  const [program = '', ...args] = [...lab.inside('default/xwing'), 'ip', '-br', 'addr', 'show', 'dev', 'eth0']
  return (await ran(program, args)).stdout
}

const modes: readonly (readonly [options: readonly string[], ipv4: boolean])[] = [
  [['--native-routing'], true],
  [['--ipv6-only'], false],
  [['--ipv6-only', '--native-routing'], false],
  [[], true],
]

describe('a lab in each of its modes', { timeout: 300_000 }, () => {
  after(() => ran('bin/cilium-lab', ['down', '--name', 'modes']))

  for (const [i, [options, ipv4]] of modes.entries()) {
    const how = options.join(' ') || 'none of them'
    it(`plays the walk-through with ${how}${i > 0 ? ', after everything in the last one was killed' : ''}`, async () => {
      if (i > 0) {
        const killed = kill('modes')
        assert.ok(killed > 8, `${killed} processes`)
      }
      const lab = await Lab.up('modes', options, 2)
      await walk(lab)
      const addresses = await addressesOf(lab)
      assert.equal(addresses.includes('10.244.'), ipv4, addresses)
      assert.match(addresses, /fd00:10:244:/)
    })
  }
})

/** Kills all processes of a lab, agents and pods too; answers how many. */
const kill = (name: string): number => {
  const below = (directory: string): readonly number[] => [
    ...readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
    ...readdirSync(directory, { withFileTypes: true }).flatMap((e) =>
      e.isDirectory() ? below(join(directory, e.name)) : [],
    ),
  ]
  const v2 = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? ''
  const pids = below(join(v2, 'cilium-lab', name))
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Its parent's end was its own.
    }
  }
  return pids.length
}
