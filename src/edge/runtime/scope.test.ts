// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { errorText, openScope } from './scope.ts'

const restart = { first: 1, most: 4 }

test('a loop that throws is started again and its error shows until it goes well', async () => {
  const errors: string[] = []
  const scope = openScope('agent', { restart, onError: (name, error) => errors.push(`${name}: ${errorText(error)}`) })
  let runs = 0
  const done = new Promise<void>((resolve) => {
    scope.child('kube').loop('pods', async () => {
      runs++
      if (runs < 3) throw new Error('gone', { cause: new Error(`run ${runs}`) })
      resolve()
    })
  })
  await done
  await new Promise(setImmediate)
  assert.deepEqual(errors, ['agent/kube/pods: gone: run 1', 'agent/kube/pods: gone: run 2'])
  assert.deepEqual(scope.health(), [{ name: 'agent/kube/pods', running: false, failures: 2 }])
  await scope.close()
})

test('health tells of work that runs and of what failed last', async () => {
  const scope = openScope('agent')
  scope.loop('wait', (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())))
  await new Promise<void>((resolve) => {
    scope.after('once', 0, () => {
      setImmediate(resolve)
      throw new Error('no route')
    })
  })
  assert.deepEqual(scope.health(), [
    { name: 'agent/once', running: false, failures: 1, error: 'no route' },
    { name: 'agent/wait', running: true, failures: 0 },
  ])
  await scope.close()
})

test('closing aborts, disposes in reverse order, children first, and waits for work that ends', async () => {
  const order: string[] = []
  const scope = openScope('agent')
  scope.onClose(() => {
    order.push('first')
  })
  scope.loop('work', async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => setImmediate(resolve)))
    order.push('work ended')
  })
  const child = scope.child('child')
  child.onClose(() => {
    order.push('child')
  })
  scope.onClose(async () => {
    await new Promise(setImmediate)
    order.push('last')
  })
  await Promise.all([scope.close(), scope.close()])
  assert.equal(scope.signal.aborted && child.signal.aborted, true)
  assert.deepEqual(
    order.filter((name) => name !== 'work ended'),
    ['last', 'child', 'first'],
  )
  assert.ok(order.includes('work ended'))
})

test('repeated work never runs twice at once and ends with the scope', async () => {
  const scope = openScope('agent')
  let running = 0
  let most = 0
  let rounds = 0
  await new Promise<void>((resolve) => {
    scope.every('round', 1, async () => {
      most = Math.max(most, ++running)
      await new Promise((later) => setTimeout(later, 5))
      running--
      if (++rounds === 3) resolve()
    })
  })
  await scope.close()
  const then = rounds
  await new Promise((later) => setTimeout(later, 10))
  assert.equal(most, 1)
  assert.equal(rounds, then)
})

test('a cancelled timer does not fire, and nothing starts after the end', async () => {
  const scope = openScope('agent')
  const fired: string[] = []
  scope.after('cancelled', 1, () => void fired.push('cancelled'))()
  scope.after('closed', 1, () => void fired.push('closed'))
  await scope.close()
  scope.loop('late', async () => void fired.push('late'))
  await new Promise((later) => setTimeout(later, 5))
  assert.deepEqual(fired, [])
})

test('a broken invariant in background work ends the process', () => {
  const program = `
    import { assert } from './src/base/assert.ts'
    import { openScope } from './src/edge/runtime/scope.ts'
    openScope('agent').loop('broken', async () => assert(false, 'two owners'))
    setInterval(() => {}, 1000)`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: new URL('../../..', import.meta.url),
    encoding: 'utf8',
    timeout: 20_000,
  })
  assert.equal(status, 1)
  assert.match(stderr, /two owners/)
})
