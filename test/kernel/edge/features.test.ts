// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fallbacks, features, isOlder, kernelRelease, OLDEST_KERNEL } from '../../../src/edge/kernel/features.ts'
import { demand, findCgroup2, probe } from '../../../src/edge/kernel/probe.ts'

const kernel = kernelRelease()

for (const { name, since, present, instead } of features()) {
  test(`${name}: there since Linux ${since}, as claimed`, () => {
    assert.equal(present, !isOlder(kernel, since), `Linux ${kernel} ${present ? 'has it already' : 'should have it'}`)
  })
  test(`${name}: something stands in for it, or the oldest supported kernel has it`, () => {
    assert.ok(instead !== '' || !isOlder(OLDEST_KERNEL, since))
  })
}

test('what something stands in for is said, what is there is not', () => {
  const feature = { name: 'x', since: '6.6', present: false, instead: 'y is used' }
  assert.deepEqual(fallbacks([feature, { ...feature, present: true }, { ...feature, instead: '' }]), [
    'without x (Linux 6.6): y is used',
  ])
})

test('versions compare by their numbers', () => {
  assert.equal(isOlder('6.1.0-50-amd64', '6.1'), false)
  assert.equal(isOlder('6.1.0-50-amd64', '6.6'), true)
  assert.equal(isOlder('6.12.95+deb12', '6.6'), false)
  assert.equal(isOlder('5.19', '6.1'), true)
  assert.equal(isOlder('7.0-rc1', '6.18'), false)
})

test('a kernel below the oldest supported one is refused with a sentence that says so', () => {
  const places = { bpffs: '/sys/fs/bpf', cgroup: findCgroup2()!, kernel: '5.15.0-91-generic' }
  assert.throws(
    () => demand(probe(places)),
    /kernel \(Linux 5\.15\.0-91-generic\): it is too old: this datapath needs Linux 6\.1 or newer/,
  )
})
