// SPDX-License-Identifier: Apache-2.0
/** The images in a real Docker engine: Debian's, fetched here, with a network and a view of the file system of its own. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { findCgroup2 } from '../../src/edge/kernel/probe.ts'
import { ran } from '../ran.ts'
import { root } from './places.ts'
import { output, until } from './run.ts'

/** Debian's engine, unpacked but not installed: a package that is installed starts a service. */
function engine(): string | undefined {
  const into = join(root, '.cache/docker')
  if (existsSync(join(into, 'usr/sbin/dockerd'))) return into
  mkdirSync(into, { recursive: true })
  try {
    execFileSync('apt-get', ['download', '-q=2', 'docker.io'], { cwd: into, stdio: 'ignore' })
  } catch {
    return undefined
  }
  const archive = readdirSync(into).find((f) => f.endsWith('.deb')) ?? ''
  execFileSync('dpkg-deb', ['-x', archive, '.'], { cwd: into })
  rmSync(join(into, archive))
  return into
}

const docker = engine()

test('docker load takes every image, and docker run starts the programs in them', {
  skip: docker === undefined && "Debian's docker.io can not be fetched",
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'docker-'))
  const socket = join(dir, 'socket')
  const group = basename(dir)
  // Private mounts: the engine wants one cgroup hierarchy at /sys/fs/cgroup, whichever this machine has there.
  const start = `mount --make-rprivate / && mount -t cgroup2 none /sys/fs/cgroup &&
    exec ${docker}/usr/sbin/dockerd --data-root ${dir}/data --exec-root ${dir}/exec --pidfile ${dir}/pid \
      --host unix://${socket} --bridge=none --iptables=false --storage-driver=vfs --cgroup-parent=${group}`
  const daemon = spawn('unshare', ['--net', '--mount', 'sh', '-c', start], { stdio: 'ignore' })
  t.after(async () => {
    const ended = new Promise((resolve) => daemon.once('exit', resolve))
    daemon.kill('SIGTERM')
    await ended
    rmSync(dir, { recursive: true, force: true })
    const left = join(findCgroup2() ?? '', group)
    if (existsSync(left)) rmdirSync(left)
  })
  const client = (...args: string[]): Promise<string> =>
    output(join(docker ?? '', 'usr/bin/docker'), ['--host', `unix://${socket}`, ...args])
  await until(
    'dockerd answers',
    async () => (await ran(`${docker}/usr/bin/docker`, ['--host', `unix://${socket}`, 'info'])).code === 0,
  )

  const images = join(root, 'build/images')
  for (const archive of readdirSync(images).filter((f) => f.endsWith('.tar'))) {
    const said = await client('load', '--input', join(images, archive))
    const image = /^Loaded image: (\S+)$/m.exec(said)?.[1]
    assert.match(image ?? said, new RegExp(`/${archive.slice(0, -4)}:`))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    assert.equal(
      await client(
        'image',
        'inspect',
        '--format',
        '{{index .Config.Labels "org.opencontainers.image.version"}}',
        image ?? '',
      ),
      `${version}\n`,
    )
    if (archive === 'cilium.tar')
      assert.match(
        await client('run', '--rm', '--network=none', '--entrypoint=cilium-agent', image ?? '', '--version'),
        /^cilium-agent \d/,
      )
  }
})
