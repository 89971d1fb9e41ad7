// SPDX-License-Identifier: Apache-2.0
/** OCI image archives without an engine. The same files give the same bytes: no times, no owners, one order. */
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** One thing of a layer: a file with its bytes, a link, or a folder when it has neither. */
export interface Entry {
  /** Absolute path in the image. */
  readonly path: string
  readonly mode: number
  readonly bytes?: Uint8Array
  readonly link?: string
}

export interface Layer {
  readonly gzip: Uint8Array
  readonly digest: string
  /** Digest of the tar within. */
  readonly diffId: string
}

export interface Image {
  /** Full reference, with its tag. */
  readonly name: string
  readonly layers: readonly Layer[]
  readonly entrypoint: readonly string[]
  /** Arguments where a container gives none. */
  readonly command?: readonly string[]
  readonly env?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  /** What each layer is, in their order. */
  readonly history?: readonly string[]
}

export const file = (path: string, bytes: Uint8Array | string, mode = 0o644): Entry => ({
  path,
  mode,
  bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
})
export const link = (path: string, target: string): Entry => ({ path, mode: 0o777, link: target })
export const folder = (path: string, mode = 0o755): Entry => ({ path, mode })

/** A file of this machine under another path, read through links, executable if it is so here. */
export const copied = (from: string, path: string): Entry => {
  const bytes = readFileSync(from)
  return file(path, bytes, executable(bytes, from) ? 0o755 : 0o644)
}
const executable = (bytes: Uint8Array, path: string): boolean =>
  (bytes[0] === 0x7f && bytes[1] === 0x45) || (bytes[0] === 0x23 && bytes[1] === 0x21) || path.endsWith('.sh')

/** A folder of this machine with all in it; `keep` sees paths relative to it. */
export function tree(from: string, path: string, keep: (name: string) => boolean = () => true): readonly Entry[] {
  return readdirSync(from, { recursive: true, encoding: 'utf8' })
    .filter(keep)
    .flatMap((name) => {
      const source = join(from, name)
      const stat = lstatSync(source)
      if (stat.isDirectory()) return []
      return [stat.isSymbolicLink() ? link(join(path, name), readlinkSync(source)) : copied(source, join(path, name))]
    })
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A layer of these entries and the folders above them. Compressed bytes are kept in `cache` under the digest of the tar. */
export function layer(entries: readonly Entry[], cache: string): Layer {
  const all = new Map<string, Entry>()
  for (const e of entries) {
    const parts = e.path.split('/').filter((p) => p !== '')
    for (let i = 1; i < parts.length; i++) {
      const above = parts.slice(0, i).join('/')
      if (!all.has(above)) all.set(above, folder(above))
    }
    all.set(parts.join('/'), e)
  }
  const tar = archive([...all].sort(([a], [b]) => (a < b ? -1 : 1)))
  const diffId = sha256(tar)
  const kept = join(cache, `${diffId.slice(7)}.gz`)
  const gzip = existsSync(kept) ? readFileSync(kept) : gzipSync(tar, { level: 6 })
  if (!existsSync(kept)) {
    mkdirSync(cache, { recursive: true })
    writeFileSync(`${kept}.${process.pid}`, gzip)
    renameSync(`${kept}.${process.pid}`, kept)
  }
  return { gzip, digest: sha256(gzip), diffId }
}

/** The archive of some images: an OCI layout that also carries what `docker load` of any age reads. */
export function imageArchive(images: readonly Image[]): Uint8Array {
  const blobs = new Map<string, Uint8Array>()
  const blob = (bytes: Uint8Array): { digest: string; size: number } => {
    const digest = sha256(bytes)
    blobs.set(digest, bytes)
    return { digest, size: bytes.length }
  }
  const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
  const path = (digest: string): string => `blobs/${digest.replace(':', '/')}`
  const manifests: object[] = []
  const docker: object[] = []
  for (const image of images) {
    const config = blob(
      json({
        created: '1970-01-01T00:00:00Z',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: {
          Entrypoint: image.entrypoint,
          ...(image.command ? { Cmd: image.command } : {}),
          Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...(image.env ?? [])],
          ...(image.labels ? { Labels: image.labels } : {}),
          WorkingDir: '/',
        },
        rootfs: { type: 'layers', diff_ids: image.layers.map((l) => l.diffId) },
        history: image.layers.map((_, i) => ({
          created: '1970-01-01T00:00:00Z',
          created_by: image.history?.[i] ?? image.name,
        })),
      }),
    )
    const manifest = blob(
      json({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: image.layers.map((l) => ({
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          ...blob(l.gzip),
        })),
        ...(image.labels ? { annotations: image.labels } : {}),
      }),
    )
    manifests.push({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      annotations: {
        'io.containerd.image.name': image.name,
        'org.opencontainers.image.ref.name': image.name.split(':').at(-1),
      },
    })
    docker.push({
      Config: path(config.digest),
      RepoTags: [image.name],
      Layers: image.layers.map((l) => path(l.digest)),
    })
  }
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
  return archive(
    [
      file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
      file('index.json', json(index)),
      file('manifest.json', json(docker)),
      ...[...blobs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([digest, bytes]) => file(path(digest), bytes)),
    ].map((e) => [e.path, e] as const),
  )
}

const BLOCK = 512

/** A POSIX tar, with extended headers for names that do not fit. */
function archive(entries: readonly (readonly [name: string, entry: Entry])[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [name, e] of entries) {
    const kind = e.bytes ? '0' : e.link !== undefined ? '2' : '5'
    const path = kind === '5' ? `${name}/` : name
    const long = [
      ...(Buffer.byteLength(path) > 100 ? [record('path', path)] : []),
      ...(Buffer.byteLength(e.link ?? '') > 100 ? [record('linkpath', e.link as string)] : []),
    ].join('')
    if (long !== '')
      parts.push(header('extended', 0o644, Buffer.byteLength(long), 'x', ''), ...padded(Buffer.from(long)))
    parts.push(header(path, e.mode, e.bytes?.length ?? 0, kind, e.link ?? ''), ...(e.bytes ? padded(e.bytes) : []))
  }
  parts.push(new Uint8Array(2 * BLOCK))
  return Buffer.concat(parts)
}

/** A line of an extended header, which begins with its own length. */
function record(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest
  while (length !== rest + String(length).length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}

function padded(bytes: Uint8Array): readonly Uint8Array[] {
  const over = bytes.length % BLOCK
  return over === 0 ? [bytes] : [bytes, new Uint8Array(BLOCK - over)]
}

function header(name: string, mode: number, size: number, kind: string, target: string): Uint8Array {
  const h = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, width: number) =>
    h.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
  h.write(name, 0, 100)
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(0, 136, 12)
  h.write('        ', 148)
  h.write(kind, 156)
  h.write(target, 157, 100)
  h.write('ustar\0' + '00', 257, 'latin1')
  h.write('root', 265)
  h.write('root', 297)
  octal(
    h.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  return h
}
