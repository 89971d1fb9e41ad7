// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, statSync } from 'node:fs'
import { basename, join } from 'node:path'

/** What runs when a container of an image starts. */
export interface Image {
  /** Repository without registry, tag and digest: `cilium/starwars`. */
  readonly repository: string
  /** Run unless the container has a `command`. Absolute, or looked up in PATH. */
  readonly entrypoint: readonly string[]
  /** Follows the entrypoint unless the container has `args` (or a `command`). */
  readonly args: readonly string[]
  /** Environment of the image. */
  readonly env: Readonly<Record<string, string>>
  /** Symbolic links of the image's file system: path to target. */
  readonly links: Readonly<Record<string, string>>
  /** Named working directory; else `/`. */
  readonly workingDir?: string
}

export interface Images {
  /** The image of a reference such as `quay.io/cilium/starwars:v2.1@sha256:…`; undefined when the table has none. */
  find(reference: string): Image | undefined
  /** Any file system the host offers, for a container that brings its own `command`. */
  readonly plain: Image
  /** What to tell when `find` has no answer and the container has no command. */
  unknown(reference: string): string
}

export interface ImageOptions {
  /** The project's checkout: its bin/ and build/ hold the programs. */
  readonly root: string
  /** More entries: repository (`nginx`, `example/app`) to a program and its arguments, separated by blanks. */
  readonly map?: Readonly<Record<string, string>>
}

/** `quay.io/cilium/starwars:v2.1@sha256:…` is `cilium/starwars`; `docker.io/library/nginx` is `nginx`. */
export function repositoryOf(reference: string): string {
  const [withoutDigest = ''] = reference.split('@')
  const parts = withoutDigest.split('/')
  const first = parts[0] ?? ''
  if (parts.length > 1 && (/[.:]/.test(first) || first === 'localhost')) parts.shift()
  if (parts.length > 1 && parts[0] === 'library') parts.shift()
  const last = parts.pop() ?? ''
  return [...parts, last.replace(/:.*$/, '')].join('/')
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Programs of the agent's image that clients call by name or by /usr/bin path. */
const agentPrograms = [
  'cilium-agent',
  'cilium',
  'cilium-dbg',
  'cilium-health',
  'cilium-bugtool',
  'cilium-operator',
  'cilium-operator-generic',
  'cilium-dns',
  'hubble',
  'hubble-relay',
]

/** The table. An entry is found by its repository's longest ending: `mirror/cilium/starwars` finds `cilium/starwars`. */
export function imageTable(options: ImageOptions): Images {
  const standIn = join(options.root, 'build/native/lab-http')
  const bin = (name: string) => join(options.root, 'bin', name)
  const pause = { '/usr/bin/pause': standIn, '/pause': standIn }
  const image = (repository: string, entrypoint: readonly string[], more: Partial<Image> = {}): Image => ({
    repository,
    entrypoint,
    args: [],
    env: { PATH: systemPath },
    links: pause,
    ...more,
  })
  const project = (repository: string, program: string): Image => {
    const links: Record<string, string> = { ...pause }
    for (const name of agentPrograms) if (runs(bin(name))) links[`/usr/bin/${name}`] = bin(name)
    return image(repository, [bin(program)], { links, env: { PATH: `${join(options.root, 'bin')}:${systemPath}` } })
  }
  const agnhost = { '/agnhost': standIn, '/usr/bin/agnhost': standIn, ...pause }
  const entries = [
    image('cilium/starwars', [standIn, 'deathstar']),
    image('cilium/json-mock', [standIn, 'json-mock']),
    image('cilium/alpine-curl', [], { args: ['/bin/sh'] }),
    image('curlimages/curl', ['curl']),
    image('byrnedo/alpine-curl', ['curl']),
    image('cilium/netperf', [standIn, 'pause']),
    image('tgraf/netperf', [standIn, 'pause']),
    image('tgraf/nettools', [], { args: ['/bin/sh'] }),
    image('nicolaka/netshoot', [], { args: ['/bin/sh'] }),
    image('cilium/demo-client', [standIn, 'pause']),
    image('cilium/demo-httpd', [standIn, 'page']),
    image('cilium/echoserver', [standIn, 'echo', '--port=80']),
    image('gateway-api/echo-basic', [standIn, 'echo']),
    image('gateway-api/echo-advanced', [standIn, 'echo']),
    image('e2e-test-images/echoserver', [standIn, 'echo', '--port=8080']),
    image('echoserver', [standIn, 'echo', '--port=8080']),
    image('ealen/echo-server', [standIn, 'echo', '--port=80']),
    image('e2e-test-images/agnhost', [standIn], { args: ['pause'], links: agnhost }),
    image('agnhost', [standIn], { args: ['pause'], links: agnhost }),
    image('e2e-test-images/busybox', [], { args: ['/bin/sh'], links: { ...pause, ...applets() } }),
    image('busybox', [], { args: ['/bin/sh'], links: { ...pause, ...applets() } }),
    image('alpine', [], { args: ['/bin/sh'] }),
    image('debian', [], { args: ['/bin/bash'] }),
    image('ubuntu', [], { args: ['/bin/bash'] }),
    image('nginx', [standIn, 'page']),
    image('httpd', [standIn, 'page']),
    image('pause', [standIn, 'pause']),
    project('cilium/cilium', 'cilium-agent'),
    project('cilium/cilium-ci', 'cilium-agent'),
    project('cilium/operator', 'cilium-operator'),
    project('cilium/operator-generic', 'cilium-operator'),
    project('cilium/operator-generic-ci', 'cilium-operator'),
    project('cilium/cilium-envoy', 'cilium-envoy'),
    project('coredns', 'cilium-dns'),
    project('coredns/coredns', 'cilium-dns'),
    project('cilium/hubble-relay', 'hubble-relay'),
  ]
  const table = new Map(entries.map((entry) => [entry.repository, entry]))
  for (const [name, program] of Object.entries(options.map ?? {})) {
    const [path = '', ...args] = program.trim().split(/\s+/)
    table.set(repositoryOf(name), image(repositoryOf(name), [path], { args }))
  }
  return {
    find(reference) {
      const parts = repositoryOf(reference).split('/')
      for (let from = 0; from < parts.length; from++) {
        const found = table.get(parts.slice(from).join('/'))
        if (found) return found
      }
      return undefined
    },
    plain: image('', []),
    unknown: (reference) =>
      `no program is known for image ${JSON.stringify(reference)}: give the container a command, or map the image with ` +
      `\`cilium-lab up --image ${repositoryOf(reference)}=PROGRAM\``,
  }
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** What busybox offers and walk-throughs use, where the host's own tool is missing. */
function applets(): Record<string, string> {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(runs)
  if (!busybox) return {}
  const wanted = [
    'wget',
    'nslookup',
    'nc',
    'ping',
    'ping6',
    'traceroute',
    'telnet',
    'vi',
    'httpd',
    'ip',
    'arp',
    'netstat',
  ]
  const missing = wanted.filter((name) => !['/usr/bin', '/bin', '/usr/sbin', '/sbin'].some((d) => runs(join(d, name))))
  return Object.fromEntries(missing.map((name) => [join('/usr/local/bin', basename(name)), busybox]))
}
