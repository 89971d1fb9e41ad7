// SPDX-License-Identifier: Apache-2.0
// Kernels of Debian, fetched by apt and kept in .cache/kernels.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** A kernel that a guest can boot. */
export interface Kernel {
  readonly release: string
  readonly image: string
  readonly initramfs: string
}

/** What a guest needs to reach its files, and the datapath to have devices, tunnels and filters. */
const MODULES = [
  ...['virtio_pci', '9pnet_virtio', '9p', 'overlay'],
  ...['veth', 'dummy', 'bridge', 'vxlan', 'sch_ingress', 'cls_bpf', 'inet_diag', 'tcp_diag', 'udp_diag'],
]
/** Count it up when the contents of the initramfs change in other ways than init.sh. */
const FORMAT = '1'

const run = (program: string, args: readonly string[], options: { cwd?: string; input?: string } = {}): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...options,
  })

/** The newest kernel of a line such as '6.1' that Debian 12 or its backports have; fetched when it is not there yet. */
export function getKernel(line: string): Kernel {
  const place = join(root, '.cache/kernels', line)
  if (!existsSync(join(place, 'release'))) fetch(line, place)
  const release = readFileSync(join(place, 'release'), 'utf8').trim()
  const initramfs = join(place, `initramfs-${FORMAT}`)
  const init = join(import.meta.dirname, 'init.sh')
  if (!existsSync(initramfs) || readFileSync(join(place, 'init.sh'), 'utf8') !== readFileSync(init, 'utf8')) {
    writeFileSync(join(place, 'init.sh'), readFileSync(init))
    pack(join(place, 'files'), release, init, initramfs)
  }
  return { release, image: join(place, `files/boot/vmlinuz-${release}`), initramfs }
}

/** Fetched beside its place and moved there whole. */
function fetch(line: string, place: string): void {
  mkdirSync(join(root, '.cache/kernels'), { recursive: true })
  const dir = mkdtempSync(join(root, '.cache/kernels/fetch-'))
  try {
    const apt = listsOfOwn(dir)
    const name = newestPackage(line, run('apt-cache', [...apt, 'pkgnames', `linux-image-${line}.`]))
    run('apt-get', [...apt, '-q=2', 'download', name], { cwd: dir })
    const file = readdirSync(dir).find((each) => each.endsWith('.deb'))
    if (file === undefined) throw new Error(`apt-get downloaded no ${name}`)
    const files = join(dir, 'files')
    run('dpkg-deb', ['-x', join(dir, file), files])
    // Newer packages have their modules below usr alone.
    if (!existsSync(join(files, 'lib'))) symlinkSync('usr/lib', join(files, 'lib'))
    const [release] = readdirSync(join(files, 'lib/modules'))
    if (release === undefined) throw new Error(`${name} holds no modules`)
    run('depmod', ['-b', files, release])
    for (const rest of ['lists', 'archives', 'sources', file]) rmSync(join(dir, rest), { recursive: true, force: true })
    writeFileSync(join(dir, 'release'), `${release}\n`)
    rmSync(place, { recursive: true, force: true })
    renameSync(dir, place)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Lists of packages beside the machine's own, which need not name the backports; from the machine's own mirror. */
function listsOfOwn(dir: string): readonly string[] {
  mkdirSync(join(dir, 'sources'), { recursive: true })
  mkdirSync(join(dir, 'lists/partial'), { recursive: true })
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(
    join(dir, 'sources/kernels.sources'),
    `Types: deb\nURIs: ${mirror()}\nSuites: bookworm bookworm-backports\nComponents: main\nSigned-By: ${keyring}\n`,
  )
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(dir, 'sources'),
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  run('apt-get', [...options, '-q=2', 'update'])
  return options
}

function mirror(): string {
  for (const [file, pattern] of [
    ['/etc/apt/sources.list.d/debian.sources', /^URIs: *(\S+)/m],
    ['/etc/apt/sources.list', /^deb +(?:\[[^\]]*\] +)?(\S+) +bookworm /m],
  ] as const) {
    const found = existsSync(file) ? pattern.exec(readFileSync(file, 'utf8'))?.[1] : undefined
    if (found !== undefined) return found
  }
  throw new Error('/etc/apt names no mirror of bookworm to fetch kernels from: add one to /etc/apt/sources.list')
}

function newestPackage(line: string, names: string): string {
  const form = new RegExp(`^linux-image-${line.replaceAll('.', '\\.')}\\.[0-9.-]+(\\+deb12)?(\\.[0-9]+)?-amd64$`)
  const numbers = (name: string): number[] => (name.match(/[0-9]+/g) ?? []).map(Number)
  const newest = names
    .split('\n')
    .filter((name) => form.test(name))
    .map((name) => ({ name, order: numbers(name) }))
    .sort((a, b) => a.order.reduce((way, part, i) => way || part - (b.order[i] ?? 0), 0))
    .at(-1)
  if (!newest) throw new Error(`Debian 12 and its backports have no kernel ${line}`)
  return newest.name
}

/** The guest's first file system: busybox, the modules in the order in which they load, init.sh. */
function pack(files: string, release: string, init: string, to: string): void {
  const dir = mkdtempSync(join(root, '.cache/kernels/initramfs-'))
  try {
    for (const name of ['bin', 'dev', 'proc', 'sys', 'modules']) mkdirSync(join(dir, name))
    cpSync(run('sh', ['-c', 'command -v busybox']).trim(), join(dir, 'bin/busybox'))
    cpSync(init, join(dir, 'init'))
    const order = new Set<string>()
    for (const module of MODULES)
      for (const line of run('modprobe', ['-d', files, '-S', release, '--show-depends', module]).split('\n')) {
        const path = /^insmod (\S+)/.exec(line)?.[1] // others are part of the kernel itself
        if (path !== undefined) order.add(path)
      }
    for (const path of order) cpSync(path, join(dir, 'modules', basename(path)))
    writeFileSync(join(dir, 'modules/order'), [...order].map((path) => `${basename(path)}\n`).join(''))
    run('sh', ['-c', `find . | cpio --quiet -o -H newc | gzip -1 >'${to}'`], { cwd: dir })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
