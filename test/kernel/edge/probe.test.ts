// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { demand, ensureBpffs, findCgroup2, probe } from '../../../src/edge/kernel/probe.ts'
import { unmount } from '../../../src/edge/kernel/syscall.ts'
import { afterwards, workplace } from './fixture.ts'

test('this machine has what the datapath needs, once a bpffs is mounted', (t) => {
  const { dir } = workplace(t)
  const bpffs = join(dir, 'own')
  const places = { bpffs, cgroup: findCgroup2()! }
  assert.throws(
    () => demand(probe(places)),
    /lacks what the datapath needs:\n {2}bpffs \(.*own\): mount it: mount -t bpf/,
  )
  ensureBpffs(bpffs)
  ensureBpffs(bpffs)
  afterwards(t, () => unmount(bpffs))
  demand(probe(places))
})

test('all that is missing is said at once, with what to do', () => {
  const all = probe({ bpffs: '/nowhere', cgroup: '/proc' })
  assert.deepEqual(
    all.filter((requirement) => !requirement.present).map((requirement) => requirement.name),
    ['bpffs', 'cgroup2'],
  )
  assert.throws(() => demand(all), /mount -t bpf bpf \/nowhere[\s\S]*--cgroup-root/)
})

test('without capabilities the answer names them', () => {
  const script = `import { probe } from '${join(import.meta.dirname, '../../../src/edge/kernel/probe.ts')}'
console.log(probe().filter((r) => !r.present && r.name === 'bpf').map((r) => r.fix).join())`
  const said = execFileSync(
    'setpriv',
    ['--bounding-set=-all', '--inh-caps=-all', process.execPath, '--input-type=module', '-e', script],
    {
      encoding: 'utf8',
    },
  )
  assert.match(said, /CAP_BPF/)
})
