// SPDX-License-Identifier: Apache-2.0
/** Builds what the test cluster consists of, once: Kubernetes' programs out of their Go module, and images of tests. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copied, file, folder, imageArchive, layer, link } from '../../tools/oci.ts'
import { base, program, programPath } from '../../tools/userland.ts'
import { built, root, version } from './places.ts'

const source = join(import.meta.dirname, 'program')
export const layerCache = join(root, '.cache/layers')
export const images = join(built, 'images')

/** Image names as Kubernetes' own tests write them. */
export const testImage = 'registry.k8s.io/e2e-test-images/agnhost:2.56'
export const pauseImage = 'registry.k8s.io/pause:3.10.1'

/** Where Go's own archive goes is found too. */
const goEnvironment = { ...process.env, PATH: `${process.env['PATH']}:/usr/local/go/bin`, CGO_ENABLED: '0' }

/** Compiles a Go package, telling how far it is: the first time takes many minutes. */
export async function compile(
  name: string,
  what: string,
  ldflags: string,
  from = source,
  verb = ['build'],
): Promise<void> {
  const began = performance.now()
  const child = spawn(
    'go',
    [...verb, '-v', '-trimpath', '-buildvcs=false', '-ldflags', ldflags, '-o', join(built, name), what],
    {
      cwd: from,
      env: goEnvironment,
      stdio: ['ignore', 'inherit', 'pipe'],
    },
  )
  let packages = 0
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-4000)
    packages += chunk.toString().split('\n').length - 1
  })
  const say = () =>
    process.stderr.write(
      `kubernetes: compiling ${name}: ${packages} packages, ${Math.round((performance.now() - began) / 1000)} s (the first time takes 10 to 20 minutes)\n`,
    )
  const timer = setInterval(say, 15_000)
  const code = await new Promise<number>((resolve) => child.on('close', (c) => resolve(c ?? 1)))
  clearInterval(timer)
  if (code !== 0) throw new Error(`go build ${what}: ${text.trim()}`)
}

/** Speaks SCTP where the kernel does not; else agnhost itself. */
const agnhostFront = join(built, 'agnhost-front')
const suite = join(import.meta.dirname, 'network')
const conformance = join(import.meta.dirname, 'clusternetworkpolicy')
const newest = (dir: string): number => Math.max(...readdirSync(dir).map((f) => statSync(join(dir, f)).mtimeMs))
export const stale = (name: string, from = source): boolean =>
  !existsSync(join(built, name)) || statSync(join(built, name)).mtimeMs < newest(from)

export async function build(): Promise<void> {
  mkdirSync(images, { recursive: true })
  if (stale('kubernetes')) {
    const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) as unknown as [string, string, string]
    const stamp = 'k8s.io/component-base/version.git'
    await compile(
      'kubernetes',
      '.',
      `-s -w -X ${stamp}Version=${version} -X ${stamp}Major=${major} -X ${stamp}Minor=${minor}`,
    )
  }
  if (stale('agnhost')) await compile('agnhost', 'k8s.io/kubernetes/test/images/agnhost', '-s -w')
  if (!existsSync(join(built, 'pause')))
    execFileSync('gcc', ['-x', 'c', '-static', '-Os', '-s', '-o', join(built, 'pause'), '-'], {
      input: 'int pause(void); int main(void) { for (;;) pause(); }\n',
    })
  const image = (
    name: string,
    reference: string,
    entrypoint: readonly string[],
    entries: Parameters<typeof layer>[0],
  ) => {
    const path = join(images, `${name}.tar`)
    const bytes = imageArchive([{ name: reference, entrypoint, layers: [layer(entries, layerCache)] }])
    if (!existsSync(path) || !readFileSync(path).equals(bytes)) writeFileSync(path, bytes)
  }
  image('pause', pauseImage, ['/pause'], [copied(join(built, 'pause'), '/pause')])
  const front = join(import.meta.dirname, 'sctp/agnhost.c')
  if (stale('agnhost-front', join(front, '..')))
    execFileSync('gcc', ['-std=gnu17', '-Os', '-Wall', '-Wextra', '-static', '-s', '-o', agnhostFront, front])
  image(
    'agnhost',
    testImage,
    ['/agnhost'],
    [
      ...base(),
      copied(join(built, 'agnhost'), '/agnhost.real'),
      copied(agnhostFront, '/agnhost'),
      ...program(programPath('curl', 'curl')),
      file('/etc/os-release', 'NAME=agnhost\n'),
    ],
  )
}

/** The conformance tests of ClusterNetworkPolicy: their program, and the image they ask for. */
export async function buildClusterNetworkPolicy(): Promise<{ readonly program: string; readonly image: string }> {
  const name = 'clusternetworkpolicy'
  if (stale(name, conformance)) await compile(name, '.', '-s -w', conformance, ['test', '-c'])
  const path = join(built, 'conformance.tar')
  const entries = [
    ...base(),
    ...program(programPath('bash', 'bash')),
    link('/bin/bash', '/usr/bin/bash'),
    copied(join(built, 'agnhost'), '/agnhost.real'),
    copied(agnhostFront, '/agnhost'),
  ]
  const reference = 'registry.k8s.io/e2e-test-images/agnhost:2.45'
  const layers = [layer(entries, layerCache)]
  writeFileSync(path, imageArchive([{ name: reference, entrypoint: ['/agnhost', 'pause'], layers }]))
  return { program: join(built, name), image: path }
}

/** Kubernetes' own tests of networking: their program, what runs several of it, and the images that they ask for. */
export async function buildNetwork(): Promise<{
  readonly program: string
  readonly ginkgo: string
  readonly image: string
}> {
  const name = 'network.test' // ginkgo takes no other names
  if (stale(name, suite)) await compile(name, '.', '-s -w', suite)
  if (stale('ginkgo', suite)) await compile('ginkgo', 'github.com/onsi/ginkgo/v2/ginkgo', '-s -w', suite)
  const scanner = 'regression-issue-74839'
  if (stale(scanner)) await compile(scanner, `k8s.io/kubernetes/test/images/${scanner}`, '-s -w')
  const tools: readonly (readonly [from: string, debianPackage: string, as: string])[] = [
    ['dig', 'bind9-dnsutils', '/usr/bin/dig'],
    ['nc.openbsd', 'netcat-openbsd', '/usr/bin/nc'],
    ['ss', 'iproute2', '/usr/bin/ss'],
    ['curl', 'curl', '/usr/bin/curl'],
    ['getent', 'libc-bin', '/usr/bin/getent'],
    ['wget', 'wget', '/usr/bin/wget'],
    ['bash', 'bash', '/usr/bin/bash'],
  ]
  // Busybox' shell would take its own nc and wget; one speaks other options, the other fails beside a C library.
  const entries = [
    ...base().filter((e) => !['/bin/sh', '/bin/nc'].includes(e.path)),
    ...tools.flatMap(([name, from, as]) => program(programPath(name, from), as)),
    link('/bin/sh', '/usr/bin/bash'),
    folder('/uploads'),
  ]
  const userland = layer(entries, layerCache)
  const kubernetes = execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', 'k8s.io/kubernetes'], {
    cwd: suite,
    env: goEnvironment,
    encoding: 'utf8',
  }).trim()
  const agnhost = layer(
    [
      copied(join(built, 'agnhost'), '/agnhost.real'),
      copied(agnhostFront, '/agnhost'),
      ...['localhost.crt', 'localhost.key'].map((f) =>
        copied(join(kubernetes, 'test/images/agnhost/porter', f), `/${f}`),
      ),
    ],
    layerCache,
  )
  const issue = layer([copied(join(built, scanner), `/${scanner}`)], layerCache)
  const path = join(built, 'network.tar')
  const named = 'registry.k8s.io/e2e-test-images'
  const archive = imageArchive([
    { name: testImage, entrypoint: ['/agnhost'], command: ['pause'], layers: [userland, agnhost] },
    { name: `${named}/jessie-dnsutils:1.7`, entrypoint: ['/bin/sh'], layers: [userland] },
    { name: `${named}/busybox:1.37.0-1`, entrypoint: ['/bin/sh'], layers: [userland] },
    { name: `${named}/nginx:1.14-4`, entrypoint: ['/agnhost', 'test-webserver'], layers: [userland, agnhost] },
    { name: `${named}/${scanner}:1.2`, entrypoint: [`/${scanner}`], layers: [issue] },
  ])
  writeFileSync(path, archive)
  return { program: join(built, name), ginkgo: join(built, 'ginkgo'), image: path }
}

/** The reference plugins of the CNI project, for figures beside ours. Returns their directory. */
export function buildReference(): string {
  const to = join(built, 'cni')
  mkdirSync(to, { recursive: true })
  for (const name of ['main/bridge', 'ipam/host-local', 'main/loopback']) {
    const path = join(to, name.split('/')[1] as string)
    if (existsSync(path)) continue
    execFileSync(
      'go',
      ['build', '-trimpath', '-buildvcs=false', '-o', path, `github.com/containernetworking/plugins/plugins/${name}`],
      { cwd: join(import.meta.dirname, 'reference'), env: goEnvironment },
    )
  }
  return to
}
