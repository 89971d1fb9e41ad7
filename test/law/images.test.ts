// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { file, folder, imageArchive, layer, link } from '../../tools/oci.ts'

const dir = mkdtempSync(join(tmpdir(), 'cilium-oci-'))
after(() => rmSync(dir, { recursive: true }))
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const long = `/opt/${'a-long-name/'.repeat(12)}end`

const archive = (cache: string): Uint8Array =>
  imageArchive([
    {
      name: 'example.org/some/image:v1',
      layers: [
        layer([file('/bin/run', '#!/bin/sh\n', 0o755), link('/bin/again', 'run')], join(dir, cache)),
        layer([file(long, 'text'), folder('/tmp', 0o1777)], join(dir, cache)),
      ],
      entrypoint: ['/bin/run'],
      labels: { 'org.opencontainers.image.title': 'a test' },
    },
  ])

test('the same files give the same bytes, with and without what was kept', () => {
  const first = archive('one')
  assert.equal(sha256(archive('one')), sha256(first))
  assert.equal(sha256(archive('two')), sha256(first))
})

test('an archive has what containerd imports and what docker load reads, and both name the same blobs', () => {
  const tar = join(dir, 'image.tar')
  const to = join(dir, 'out')
  writeFileSync(tar, archive('one'))
  execFileSync('mkdir', [to])
  execFileSync('tar', ['-xf', tar, '-C', to])
  const json = <T>(path: string): T => JSON.parse(readFileSync(join(to, path), 'utf8')) as T
  interface Blob {
    readonly digest: string
    readonly size: number
  }
  const blob = ({ digest, size }: Blob): Buffer => {
    const bytes = readFileSync(join(to, 'blobs', digest.replace(':', '/')))
    assert.deepEqual([`sha256:${sha256(bytes)}`, bytes.length], [digest, size])
    return bytes
  }
  assert.equal(json<{ imageLayoutVersion: string }>('oci-layout').imageLayoutVersion, '1.0.0')
  const [entry] = json<{ manifests: (Blob & { annotations: Record<string, string> })[] }>('index.json').manifests
  assert.ok(entry)
  assert.equal(entry.annotations['io.containerd.image.name'], 'example.org/some/image:v1')
  const manifest = JSON.parse(blob(entry).toString()) as { config: Blob; layers: Blob[] }
  const config = JSON.parse(blob(manifest.config).toString()) as { rootfs: { diff_ids: string[] } }
  assert.deepEqual(
    manifest.layers.map((l) => `sha256:${sha256(gunzipSync(blob(l)))}`),
    config.rootfs.diff_ids,
  )
  const [docker] = json<{ Config: string; RepoTags: string[]; Layers: string[] }[]>('manifest.json')
  assert.deepEqual(docker, {
    Config: `blobs/${manifest.config.digest.replace(':', '/')}`,
    RepoTags: ['example.org/some/image:v1'],
    Layers: manifest.layers.map((l) => `blobs/${l.digest.replace(':', '/')}`),
  })
  const root = join(dir, 'root')
  execFileSync('mkdir', [root])
  for (const l of docker?.Layers ?? []) execFileSync('tar', ['-xzpf', join(to, l), '-C', root])
  assert.equal(readFileSync(join(root, 'bin/again'), 'utf8'), '#!/bin/sh\n')
  assert.equal(statSync(join(root, 'bin/run')).mode & 0o777, 0o755)
  assert.ok(existsSync(join(root, long)))
})
