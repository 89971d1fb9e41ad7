// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrames, encodeRequest, frameReader } from './frames.ts'

test('a request is records closed by NUL; absent and false fields are left out; a NUL inside is refused', () => {
  const request = { op: 'run', arg: ['a', 'b=c'], tty: true, in: false, cwd: undefined, uid: 0 }
  assert.equal(encodeRequest(request).toString(), 'op=run\0arg=a\0arg=b=c\0tty=1\0uid=0\0\0')
  assert.throws(() => encodeRequest({ arg: ['a\0b'] }), /NUL/)
})

test('frames come out as they went in, however the bytes are cut', () => {
  const sent = fc.array(fc.record({ type: fc.integer({ min: 0, max: 8 }), data: fc.uint8Array({ maxLength: 300 }) }))
  fc.assert(
    fc.property(sent, fc.array(fc.integer({ min: 1, max: 50 })), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map((f) => encodeFrames(f.type, f.data)))
      const seen: [number, string][] = []
      const read = frameReader((type, payload) => seen.push([type, payload.toString('hex')]))
      let at = 0
      for (const cut of [...cuts, bytes.length]) {
        read(bytes.subarray(at, at + cut))
        at += cut
      }
      assert.deepEqual(
        seen,
        frames.map((f) => [f.type, Buffer.from(f.data).toString('hex')]),
      )
    }),
  )
})

test('data longer than a frame may be is sent in several', () => {
  const sizes: number[] = []
  frameReader((_, payload) => sizes.push(payload.length))(encodeFrames(0, new Uint8Array(150_000)))
  assert.deepEqual(sizes, [65536, 65536, 18928])
})
