// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Store } from '../api/store.ts'
import type { Image } from '../images/images.ts'
import { quantity } from '../scheduler/quantity.ts'
import { type Cgroups, makeCgroups, setLimits } from './cgroups.ts'
import { environmentOf, expand, type PodFacts } from './environment.ts'
import type { Request } from './frames.ts'
import type { Container, Pod } from './manifest.ts'
import type { LabNode } from './node.ts'
import type { Sandbox } from './sandbox.ts'
import { capabilitiesOf, identityOf } from './security.ts'
import { bindsOf, podDirectory, type ReadyVolume } from './volumes.ts'

/** What a container is started from. */
export interface Making {
  readonly node: LabNode
  readonly store: Store
  readonly facts: PodFacts
  readonly pod: Pod
  readonly container: Container
  readonly image: Image
  readonly sandbox: Sandbox
  readonly volumes: ReadonlyMap<string, ReadyVolume>
  /** cgroup path of the node, relative to the roots. */
  readonly cgroup: string
  readonly restarts: number
  /** Process id in the node whose pid namespace to join. */
  readonly joinPid?: number
}

/** A container about to start: the request, and what later calls (exec, logs, removal) need. */
export interface Made {
  readonly id: string
  readonly request: Request
  readonly cgroups: Cgroups
  /** The part of the request that an exec repeats. */
  readonly inside: Request
  readonly log: string
  readonly message: string
}

export const logDirectory = (pod: Pod, container: string): string =>
  `/var/log/pods/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}/${container}`

/** The image as Kubernetes shows it: a reference by digest, here of the repository's name. */
export const imageId = (image: Image, reference: string): string =>
  `${image.repository || reference}@sha256:${createHash('sha256')
    .update(image.repository || reference)
    .digest('hex')}`

/** Throws MissingReference, or what is wrong with the container's description. */
export function makeContainer(making: Making): Made {
  const { node, store, facts, pod, container, image, sandbox, restarts } = making
  const id = randomBytes(32).toString('hex')
  const env = new Map<string, string>(Object.entries(image.env))
  env.set('HOSTNAME', pod.spec.hostNetwork ? node.name : hostnameOf(pod))
  env.set('HOME', '/root')
  for (const [name, value] of environmentOf(pod, container, store, facts)) env.set(name, value)
  const args = argumentsOf(container, image, env)
  const binds = bindsOf(pod, container, making.volumes, env, node.path)
  const { uid, gid, groups } = identityOf(pod, container)
  const caps = capabilitiesOf(container)
  const security = container.securityContext
  const message = `${podDirectory(pod)}/containers/${container.name}/${id.slice(0, 8)}`
  writeNodeFile(node, message, '', 0o666)
  mkdirSync(node.path(logDirectory(pod, container.name)), { recursive: true })
  const cgroups = containerCgroups(making, id)
  const inside: Request = {
    env: [...env].map(([name, value]) => `${name}=${value}`),
    cwd: container.workingDir ?? image.workingDir ?? '/',
    cgroup: cgroups.all,
    uid,
    gid,
    group: groups,
    caps,
    no_new_privs: security?.allowPrivilegeEscalation === false,
  }
  const log = `${logDirectory(pod, container.name)}/${restarts}.log`
  const request: Request = {
    ...inside,
    root: '/run/lab/image',
    net: sandbox.netns,
    ipc: pod.spec.hostIPC ? undefined : `/run/sandbox/${sandbox.name}.ipc`,
    uts: pod.spec.hostNetwork ? undefined : `/run/sandbox/${sandbox.name}.uts`,
    pidns: pod.spec.hostPID ? 'node' : making.joinPid ? `/proc/${making.joinPid}/ns/pid` : 'new',
    arg: args,
    sysctl: (pod.spec.securityContext?.sysctls ?? []).map(({ name, value }) => `${name}=${value}`),
    bind: [
      ...podFiles(pod),
      `${message}\x1f${container.terminationMessagePath ?? '/dev/termination-log'}\x1f`,
      ...binds,
    ],
    link: Object.entries(image.links).map(([path, target]) => `${target}\x1f${path}`),
    privileged: security?.privileged === true,
    readonly: security?.readOnlyRootFilesystem === true,
    tty: container.tty === true,
    in: container.stdin === true,
    tee: container.tty === true || container.stdin === true,
    log,
  }
  return { id, request, cgroups, inside, log, message }
}

function argumentsOf(container: Container, image: Image, env: ReadonlyMap<string, string>): readonly string[] {
  const given = (list: readonly string[]) => list.map((item) => expand(item, env))
  const own = container.command?.length ? given(container.command) : undefined
  const args = container.args?.length ? given(container.args) : undefined
  return own ? [...own, ...(args ?? [])] : [...image.entrypoint, ...(args ?? image.args)]
}

/** hosts, hostname and resolv.conf, made once per pod. */
const podFiles = (pod: Pod): readonly string[] => [
  `${podDirectory(pod)}/etc-hosts\x1f/etc/hosts\x1f`,
  `${podDirectory(pod)}/resolv.conf\x1f/etc/resolv.conf\x1f`,
  `${podDirectory(pod)}/hostname\x1f/etc/hostname\x1f`,
]

function containerCgroups(making: Making, id: string): Cgroups {
  const cgroups = makeCgroups(`${making.cgroup}/kubepods/pod${making.pod.metadata.uid}/${id.slice(0, 12)}`)
  const { limits = {}, requests = {} } = making.container.resources ?? {}
  const number = (text: string | number | undefined) => (text === undefined ? {} : { value: quantity(text) })
  const cpu = number(limits['cpu']).value
  const memory = number(limits['memory']).value
  const cpuRequest = number(requests['cpu'] ?? limits['cpu']).value
  setLimits(cgroups, {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory: Math.floor(memory) }),
    ...(cpuRequest === undefined ? {} : { cpuRequest }),
  })
  return cgroups
}

export const hostnameOf = (pod: Pod): string =>
  (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '')

export function writeNodeFile(node: LabNode, path: string, text: string, mode = 0o644): void {
  const at = node.path(path)
  mkdirSync(at.slice(0, at.lastIndexOf('/')), { recursive: true })
  writeFileSync(at, text, { mode })
}

export interface Names {
  readonly clusterDns: readonly string[]
  readonly clusterDomain: string
  /** The node's own resolv.conf and hosts. */
  readonly hostResolv: string
  readonly hostHosts: string
}

/** Writes a pod's hosts, hostname and resolv.conf into its directory on the node. */
export function writePodFiles(node: LabNode, pod: Pod, names: Names, ips: readonly string[]): void {
  const directory = podDirectory(pod)
  const hostname = pod.spec.hostNetwork ? node.name : hostnameOf(pod)
  const { subdomain } = pod.spec
  const full = subdomain ? [`${hostname}.${subdomain}.${pod.metadata.namespace}.svc.${names.clusterDomain}`] : []
  const aliases = (pod.spec.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}`)
  const added = aliases.length ? ['', '# Entries added by HostAliases.', ...aliases] : []
  const own = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => [ip, ...full, hostname].join('\t')),
  ]
  const host = ['# Kubernetes-managed hosts file (host network).', names.hostHosts.trimEnd()]
  const hosts = [...(pod.spec.hostNetwork ? host : own), ...added, '']
  writeNodeFile(node, `${directory}/etc-hosts`, hosts.join('\n'))
  writeNodeFile(node, `${directory}/hostname`, `${hostname}\n`)
  writeNodeFile(node, `${directory}/resolv.conf`, resolvConf(pod, names))
}

/** The pod's resolv.conf as its dnsPolicy and dnsConfig say. */
export function resolvConf(pod: Pod, names: Names): string {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork } = pod.spec
  const cluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork)
  const base = cluster
    ? clusterDns(pod, names)
    : dnsPolicy === 'None'
      ? { servers: [], searches: [], options: [] }
      : parse(names.hostResolv)
  const servers = [...new Set([...base.servers, ...(dnsConfig?.nameservers ?? [])])]
  const searches = [...new Set([...base.searches, ...(dnsConfig?.searches ?? [])])]
  const options = new Map(base.options.map((o) => [o.split(':')[0], o]))
  for (const o of dnsConfig?.options ?? []) options.set(o.name, o.value === undefined ? o.name : `${o.name}:${o.value}`)
  return [
    ...(searches.length ? [`search ${searches.join(' ')}`] : []),
    ...servers.map((s) => `nameserver ${s}`),
    ...(options.size ? [`options ${[...options.values()].join(' ')}`] : []),
    '',
  ].join('\n')
}

const clusterDns = (pod: Pod, { clusterDns, clusterDomain, hostResolv }: Names) => ({
  servers: clusterDns,
  searches: [
    `${pod.metadata.namespace}.svc.${clusterDomain}`,
    `svc.${clusterDomain}`,
    clusterDomain,
    ...parse(hostResolv).searches,
  ],
  options: ['ndots:5'],
})

function parse(text: string): { servers: string[]; searches: string[]; options: string[] } {
  const words = (keyword: string) =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === keyword)
      .flatMap((line) => line.slice(1))
  return { servers: words('nameserver'), searches: words('search'), options: words('options') }
}
