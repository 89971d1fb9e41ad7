// SPDX-License-Identifier: Apache-2.0
/** Programs of this machine for images: busybox for the shell, others with the libraries they load. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { copied, type Entry, file, folder, link } from './oci.ts'

const text = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

/** Path of a program; throws with the Debian package that brings it. */
export function programPath(name: string, debianPackage: string): string {
  const dirs = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
  const found = dirs.map((d) => `${d}/${name}`).find((p) => existsSync(p))
  if (found === undefined) throw new Error(`${name} is missing: apt-get install ${debianPackage}`)
  return found
}

/** The folders every root file system has, busybox under the names of its applets, and who root is. */
export function base(): readonly Entry[] {
  const busybox = programPath('busybox', 'busybox-static')
  return [
    ...[
      'dev',
      'proc',
      'sys',
      'run',
      'etc',
      'root',
      'home',
      'var',
      'var/lib',
      'usr',
      'usr/local',
      'usr/local/bin',
      'mnt',
    ].map((d) => folder(`/${d}`)),
    folder('/tmp', 0o1777),
    folder('/var/tmp', 0o1777),
    link('/var/run', '/run'),
    copied(busybox, '/bin/busybox'),
    ...text(busybox, ['--list'])
      .split('\n')
      .filter((a) => a !== '' && a !== 'busybox')
      .map((a) => link(`/bin/${a}`, 'busybox')),
    // Clients and scripts call these by where they are on other systems.
    ...['env', 'ls', 'cat'].map((a) => link(`/usr/bin/${a}`, '/bin/busybox')),
    file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    file('/etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    file('/etc/nsswitch.conf', 'hosts: files dns\n'),
  ]
}

/** Libraries that a binary is linked with, its loader included, under the paths it looks for. */
export function libraries(binary: string): readonly Entry[] {
  const found = [...text('ldd', [binary]).matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((m) => m[1] as string)
  return found.map((path) => copied(realpathSync(path), path))
}

/** A program with its libraries. */
export const program = (path: string, as = path): readonly Entry[] => [
  copied(realpathSync(path), as),
  ...libraries(realpathSync(path)),
]

export interface Package {
  readonly name: string
  readonly version: string
  readonly license: string
}

/** Debian's short names of licences in SPDX's words. */
const spdx: Readonly<Record<string, string>> = {
  'gpl-2': 'GPL-2.0-only',
  'gpl-2+': 'GPL-2.0-or-later',
  'gpl-3+': 'GPL-3.0-or-later',
  'lgpl-2.1': 'LGPL-2.1-only',
  'lgpl-2.1+': 'LGPL-2.1-or-later',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  expat: 'MIT',
  mit: 'MIT',
  zlib: 'Zlib',
}

/** What a package's copyright file says of most of its files; NOASSERTION where it says it in prose. */
function licenceOf(name: string): string {
  const path = `/usr/share/doc/${name}/copyright`
  const said = existsSync(path)
    ? /^Files: ?\n?\s*\*[\s\S]*?^License: *(.+)$/m.exec(readFileSync(path, 'utf8'))?.[1]
    : ''
  const parts = (said ?? '').split(' or ').map((l) => spdx[l.trim().toLowerCase()])
  return parts.every((l) => l !== undefined) ? parts.join(' OR ') : 'NOASSERTION'
}

/** The Debian packages that these files of the machine belong to, with the text of their licences. */
export function debianPackages(files: readonly string[]): { packages: readonly Package[]; licences: readonly Entry[] } {
  const owner = (path: string): string | undefined => {
    // Packages may be registered under the path before /lib became a link.
    for (const p of [path, path.replace(/^\/usr/, ''), `/usr${path}`])
      try {
        return text('dpkg-query', ['-S', p]).split(': ')[0]?.split(',')[0]?.trim()
      } catch {}
    return undefined
  }
  const names = [...new Set(files.map((f) => owner(realpathSync(f)) ?? owner(f)).filter((n) => n !== undefined))].sort()
  const packages = names.map((n) => ({
    name: n.split(':')[0] as string,
    version: text('dpkg-query', ['-W', '-f', '$' + '{Version}', n]),
    license: licenceOf(n.split(':')[0] as string),
  }))
  const licences = packages
    .map((p) => [p.name, `/usr/share/doc/${p.name}/copyright`] as const)
    .filter(([, path]) => existsSync(path))
    .map(([name, path]) => file(`/usr/share/doc/${name}/copyright`, readFileSync(realpathSync(path))))
  return { packages, licences }
}
