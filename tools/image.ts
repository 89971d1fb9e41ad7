// SPDX-License-Identifier: Apache-2.0
/** `make image`: OCI archives of the product in build/images, without an engine. Arguments name images; all if none. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copied, type Entry, file, folder, type Image, imageArchive, layer, link, tree } from './oci.ts'
import { base, debianPackages, libraries, type Package, program, programPath } from './userland.ts'

const root = join(import.meta.dirname, '..')
const cache = join(root, '.cache/layers')
const out = join(root, 'build/images')
const home = '/opt/cilium'

interface Lock {
  readonly packages: Readonly<Record<string, { version?: string; license?: string; dev?: boolean; optional?: boolean }>>
}
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string; license: string }

/** The tag of all images. */
export const imageTag = `v${own.version}`

const nodeBinary = realpathSync(join(root, 'node_modules/.bin/node'))
const libbpf = '/usr/lib/x86_64-linux-gnu/libbpf.so.1'
const koffi = join(root, 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node')

const licenceOf = (name: string): readonly Entry[] =>
  ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'license', 'License.md']
    .map((f) => join(root, 'node_modules', name, f))
    .filter((p) => existsSync(p))
    .slice(0, 1)
    .map((p) => file(`/usr/share/doc/npm/${name}/LICENSE`, readFileSync(p)))

/** npm packages that are bundled or shipped. */
const npmPackages: readonly Package[] = Object.entries(lock.packages)
  .filter(([path, p]) => path.startsWith('node_modules/') && !p.dev && existsSync(join(root, path)))
  .map(([path, p]) => ({
    name: path.replace(/^.*node_modules\//, ''),
    version: p.version ?? '',
    license: p.license ?? 'NOASSERTION',
  }))

interface Recipe {
  readonly name: string
  readonly title: string
  readonly entrypoint: readonly string[]
  readonly programs: readonly (readonly [name: string, debianPackage: string])[]
  readonly kernel: boolean
  /** Envoy instead of Node, when it is not our own program that runs. */
  readonly envoy?: boolean
  readonly ours: () => readonly Entry[]
}

const built = (...names: readonly string[]): readonly Entry[] =>
  names.map((name) => {
    const path = join(root, 'build', name)
    if (!existsSync(path)) throw new Error(`build/${name} is missing: run make build`)
    return copied(path, `${home}/build/${name}`)
  })
const launchers = (...names: readonly string[]): readonly Entry[] =>
  names.flatMap((name) => [
    copied(realpathSync(join(root, 'bin', name)), `${home}/bin/${name}`),
    link(`/usr/bin/${name}`, `${home}/bin/${name}`),
  ])

const recipes: readonly Recipe[] = [
  {
    name: 'quay.io/cilium/cilium',
    title: 'agent, CNI plugin, DNS proxy and cilium-dbg',
    entrypoint: ['/usr/bin/cilium-dbg'],
    programs: [
      ['ip', 'iproute2'],
      ['ss', 'iproute2'],
      ['bridge', 'iproute2'],
      ['tc', 'iproute2'],
      ['jq', 'jq'],
      ['nsenter', 'util-linux'],
      ['bpftool', 'bpftool'],
    ],
    kernel: true,
    ours: () => [
      ...built('agent.js', 'dbg.js', 'dns-proxy.js', 'cilium-cni', 'loopback'),
      ...tree(join(root, 'build/bpf'), `${home}/build/bpf`, (n) => n.endsWith('.o')),
      ...launchers('cilium-agent', 'cilium-dbg', 'cilium', 'cilium-bugtool', 'cilium-dns-proxy'),
      ...['install-plugin.sh', 'cni-uninstall.sh', 'mount-node.sh'].map((s) => copied(join(root, 'image', s), `/${s}`)),
      folder('/var/lib/cilium'),
      folder('/run/cilium'),
    ],
  },
  {
    name: 'quay.io/cilium/operator-generic',
    title: 'operator',
    entrypoint: ['/usr/bin/cilium-operator-generic'],
    programs: [],
    kernel: false,
    ours: () => [
      ...built('operator.js'),
      ...launchers('cilium-operator-generic'),
      link('/usr/bin/cilium-operator', `${home}/bin/cilium-operator-generic`),
      ...tree(join(root, 'crds'), `${home}/crds`, (n) => n.endsWith('.yaml') || n.endsWith('.json')),
    ],
  },
  {
    name: 'quay.io/cilium/cluster-dns',
    title: 'name server for clusters that have none',
    entrypoint: ['/usr/bin/cilium-dns'],
    programs: [],
    kernel: false,
    ours: () => [...built('dns.js'), ...launchers('cilium-dns')],
  },
  {
    name: 'quay.io/cilium/cilium-envoy',
    title: 'stock Envoy for layer 7',
    entrypoint: ['/usr/bin/cilium-envoy'],
    programs: [],
    kernel: false,
    envoy: true,
    ours: () => launchers('cilium-envoy'),
  },
]

/** The stock Envoy that tools/envoy.sh pins, as a layer and as a line of the bill. */
function envoyParts(): { entries: readonly Entry[]; packages: readonly Package[]; path: string } {
  const path = execFileSync(join(root, 'tools/envoy.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim()
  const version = /envoy-([0-9.]+)\/envoy$/.exec(path)?.[1] ?? 'unknown'
  return {
    path,
    entries: [
      copied(path, '/usr/bin/envoy'),
      // Envoy is under the Apache licence too.
      file('/usr/share/doc/envoy/LICENSE', readFileSync(join(root, 'LICENSE'))),
    ],
    packages: [{ name: 'envoy', version, license: 'Apache-2.0' }],
  }
}

const hasEnvoy = (): boolean =>
  spawnSync(join(root, 'tools/envoy.sh'), { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0

/** Node, as a layer and as a line of the bill, with the npm packages that our bundles hold. */
const nodeParts = (): { entries: readonly Entry[]; packages: readonly Package[]; path: string } => ({
  path: nodeBinary,
  entries: [
    copied(nodeBinary, `${home}/node_modules/.bin/node`),
    link('/usr/local/bin/node', `${home}/node_modules/.bin/node`),
  ],
  packages: [{ name: 'node', version: process.version.slice(1), license: 'MIT' }, ...npmPackages],
})

/** The bill of materials: a small SPDX document, one package a line of the image. */
function sbom(recipe: Recipe, packages: readonly Package[]): Uint8Array {
  const id = (p: Package) => `SPDXRef-${`${p.name}-${p.version}`.replace(/[^A-Za-z0-9.-]/g, '-')}`
  const described = { name: recipe.name, version: own.version, license: own.license }
  const all = [described, ...packages]
  const digest = createHash('sha256').update(JSON.stringify(all)).digest('hex')
  return Buffer.from(
    `${JSON.stringify(
      {
        spdxVersion: 'SPDX-2.3',
        dataLicense: 'CC0-1.0',
        SPDXID: 'SPDXRef-DOCUMENT',
        name: `${recipe.name}:${imageTag}`,
        documentNamespace: `https://spdx.org/spdxdocs/${recipe.name}-${digest}`,
        creationInfo: { created: '1970-01-01T00:00:00Z', creators: ['Tool: tools/image.ts'] },
        packages: all.map((p) => ({
          SPDXID: id(p),
          name: p.name,
          versionInfo: p.version,
          downloadLocation: 'NOASSERTION',
          licenseConcluded: p.license,
          licenseDeclared: p.license,
        })),
        relationships: all.map((p, i) => ({
          spdxElementId: i === 0 ? 'SPDXRef-DOCUMENT' : id(described),
          relationshipType: i === 0 ? 'DESCRIBES' : 'CONTAINS',
          relatedSpdxElement: id(p),
        })),
      },
      undefined,
      1,
    )}\n`,
  )
}

function make(recipe: Recipe): { image: Image; sbom: Uint8Array } {
  const shell = programPath('dash', 'dash')
  const runtime = recipe.envoy ? envoyParts() : nodeParts()
  const programs = recipe.programs.map(([name, from]) => programPath(name, from))
  const system = [
    programPath('busybox', 'busybox-static'),
    shell,
    ...programs,
    ...(recipe.kernel ? [libbpf] : []),
    ...[runtime.path, shell, ...programs, ...(recipe.kernel ? [libbpf] : [])].flatMap((p) =>
      libraries(p).map((e) => e.path),
    ),
  ]
  const debian = debianPackages(system)
  const packages = [...debian.packages, ...runtime.packages]
  const bill = sbom(recipe, packages)
  const userland = [
    ...base(),
    // The shell of busybox runs its own applets whatever PATH says: iproute2 and nsenter would never be found.
    ...program(shell),
    link('/bin/sh', shell),
    ...programs.flatMap((p) => program(p)),
    ...libraries(runtime.path),
    ...(recipe.kernel ? [copied(libbpf, '/lib/x86_64-linux-gnu/libbpf.so.1'), ...libraries(libbpf)] : []),
    ...debian.licences,
    file('/etc/os-release', `NAME="cilium-ts"\nID=cilium-ts\nVERSION_ID=${own.version}\n`),
  ]
  const modules = [
    ...['package.json', 'index.js', 'index.cjs', 'indirect.js', 'indirect.cjs'].map((f) =>
      copied(join(root, 'node_modules/koffi', f), `${home}/node_modules/koffi/${f}`),
    ),
    ...tree(join(root, 'node_modules/koffi/src'), `${home}/node_modules/koffi/src`, (n) => /\.c?js$/.test(n)),
    ...['package.json', 'index.js'].map((f) =>
      copied(
        join(root, 'node_modules/@koromix/koffi-linux-x64', f),
        `${home}/node_modules/@koromix/koffi-linux-x64/${f}`,
      ),
    ),
    copied(koffi, `${home}/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node`),
    ...npmPackages.flatMap((p) => licenceOf(p.name)),
  ]
  const ours = [
    ...recipe.ours(),
    ...(recipe.envoy ? [] : [file(`${home}/package.json`, '{"type":"module"}\n')]),
    file('/usr/share/doc/cilium-ts/sbom.spdx.json', bill),
    file(
      '/usr/share/doc/cilium-ts/LICENSE',
      existsSync(join(root, 'LICENSE')) ? readFileSync(join(root, 'LICENSE')) : `${own.license}\n`,
    ),
  ]
  const parts = [
    ['userland', userland],
    [recipe.envoy ? 'envoy' : 'node', runtime.entries],
    ...(recipe.kernel ? ([['koffi', modules]] as const) : []),
    ['ours', ours],
  ] as const
  return {
    sbom: bill,
    image: {
      name: `${recipe.name}:${imageTag}`,
      layers: parts.map(([, entries]) => layer(entries, cache)),
      history: parts.map(([name]) => name),
      entrypoint: recipe.entrypoint,
      env: recipe.envoy ? ['CILIUM_ENVOY=/usr/bin/envoy'] : [`CILIUM_HOME=${home}`],
      labels: {
        'org.opencontainers.image.title': recipe.title,
        'org.opencontainers.image.version': own.version,
        'org.opencontainers.image.licenses': 'Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)',
      },
    },
  }
}

const wanted = process.argv.slice(2)
const short = (name: string): string => name.split('/').at(-1) as string
for (const name of wanted)
  if (!recipes.some((r) => short(r.name) === name)) {
    console.error(`no image is called ${name}; there are ${recipes.map((r) => short(r.name)).join(', ')}`)
    process.exit(2)
  }
mkdirSync(out, { recursive: true })
for (const recipe of recipes.filter((r) => wanted.length === 0 || wanted.includes(short(r.name)))) {
  if (recipe.envoy && wanted.length === 0 && !hasEnvoy()) {
    console.log(`${recipe.name} is left out: tools/envoy.sh finds no Envoy`)
    rmSync(join(out, `${short(recipe.name)}.tar`), { force: true })
    continue
  }
  const { image, sbom } = make(recipe)
  const tar = imageArchive([image])
  writeFileSync(join(out, `${short(recipe.name)}.tar`), tar)
  writeFileSync(join(out, `${short(recipe.name)}.spdx.json`), sbom)
  const size = image.layers.reduce((sum, l) => sum + l.gzip.length, 0)
  console.log(`${image.name}  ${(size / 1e6).toFixed(1)} MB compressed  build/images/${short(recipe.name)}.tar`)
}
