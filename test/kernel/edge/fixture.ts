// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mount, unmount } from '../../../src/edge/kernel/syscall.ts'

const root = join(import.meta.dirname, '../../..')

export interface Test {
  after(fn: () => void): void
}
const cleanups = new WeakMap<Test, (() => void)[]>()

/** Runs `clean` after the test, the last registered first. */
export function afterwards(t: Test, clean: () => void): void {
  let all = cleanups.get(t)
  if (!all) {
    const list: (() => void)[] = []
    cleanups.set(t, (all = list))
    t.after(() => {
      for (const each of list.reverse()) each()
    })
  }
  all.push(clean)
}

/** A directory that is gone after the test, with a private bpffs in `pins`. */
export function workplace(t: Test): { readonly dir: string; readonly pins: string } {
  const dir = mkdtempSync(join(tmpdir(), 'kt-'))
  const pins = mkdtempSync(join(dir, 'bpf-'))
  mount('kt', pins, 'bpf')
  afterwards(t, () => {
    unmount(pins, 2)
    rmSync(dir, { recursive: true, force: true })
  })
  return { dir, pins }
}

/** What was compiled already, by file and includes: on an emulated machine it takes ten seconds. */
const compiled = new Map<string, Uint8Array>()

/** Compiles a C file to a BPF object in a directory, once per process. */
export function compile(dir: string, file: string, includes: readonly string[] = []): string {
  const object = join(dir, `${file.replace(/.*\//, '')}.o`)
  const key = [file, ...includes].join(' ')
  const known = file.startsWith(dir) ? undefined : compiled.get(key)
  if (known) {
    writeFileSync(object, known)
    return object
  }
  const flags = [
    '-g',
    '-O2',
    '-target',
    'bpf',
    `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  ]
  execFileSync('clang-19', [...flags, ...includes.map((path) => `-I${join(root, path)}`), '-c', file, '-o', object])
  compiled.set(key, readFileSync(object))
  return object
}

export const fixtureSource = join(import.meta.dirname, 'fixture.bpf.c')
