// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageTable, repositoryOf } from './images.ts'

const images = imageTable({ root: '/project', map: { 'example.com/team/app:v1': '/srv/app --port 80' } })

test('registry, tag and digest do not matter to which program an image is', () => {
  assert.equal(repositoryOf('quay.io/cilium/starwars:v2.1@sha256:00ff'), 'cilium/starwars')
  assert.equal(repositoryOf('localhost:5000/nginx:1.27'), 'nginx')
  assert.equal(repositoryOf('docker.io/library/busybox'), 'busybox')
  assert.equal(repositoryOf('curlimages/curl'), 'curlimages/curl')
  for (const reference of [
    'cilium/starwars',
    'mirror.example/x/cilium/starwars:v9',
    'quay.io/cilium/starwars@sha256:1',
  ]) {
    assert.deepEqual(images.find(reference)?.entrypoint, ['/project/build/native/lab-http', 'deathstar'])
  }
})

test('a mapped image runs the program it was mapped to', () => {
  assert.deepEqual(images.find('other.io/team/app:v2')?.entrypoint, ['/srv/app'])
  assert.deepEqual(images.find('team/app')?.args, ['--port', '80'])
})

test('an unknown image is not found, and the message says how to map it', () => {
  assert.equal(images.find('example.com/unknown:1'), undefined)
  assert.match(images.unknown('example.com/unknown:1'), /--image unknown=PROGRAM/)
})

test('the agent image finds the project programs before the host ones', () => {
  assert.match(images.find('quay.io/cilium/cilium:v1.19.4')?.env['PATH'] ?? '', /^\/project\/bin:/)
})
