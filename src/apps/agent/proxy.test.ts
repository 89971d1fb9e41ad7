// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { portsTarget, readStoredPorts } from './proxy.ts'

test('ports of listeners come back after a restart, and nothing does from a file that is none', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'cilium-ports-'))
  const file = join(dir, 'proxy_ports.json')
  try {
    assert.deepEqual(readStoredPorts(file), [])
    const target = portsTarget(file)
    const [a, b] = [
      { key: 'ingress a', port: 10_001 },
      { key: 'egress b', port: 19_999 },
    ]
    await target.write([a, b])
    await target.write([{ ...a, port: 10_002 }])
    assert.deepEqual(readStoredPorts(file), [{ ...a, port: 10_002 }, b])
    await portsTarget(file).remove([b])
    assert.deepEqual(readStoredPorts(file), [{ ...a, port: 10_002 }])
    for (const bad of ['', '{', '{}', '[null, {"key": 1, "port": 10000}, {"key": "x", "port": 80}]']) {
      writeFileSync(file, bad)
      assert.deepEqual(readStoredPorts(file), [])
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
})
