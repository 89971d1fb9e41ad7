// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import type { Store } from '../api/store.ts'
import { dataOf, expand, fieldValue, MissingReference, type PodFacts, resourceValue } from './environment.ts'
import type { Container, DownwardItem, ObjectSource, Pod, Volume, VolumeMount } from './manifest.ts'

export interface VolumeContext {
  readonly store: Store
  readonly facts: PodFacts
  /** A path of the node as this process can open it. */
  readonly path: (inNode: string) => string
  /** A service account's token. */
  readonly token: (namespace: string, serviceAccount: string, seconds: number) => string
  /** The API server's certificate authority, PEM. */
  readonly ca: string
  readonly now: () => number
}

/** A volume that can be mounted: where it is in the node, and how. */
export interface ReadyVolume {
  readonly source: string
  /** Options for the native side: the types of a hostPath. */
  readonly type?: string
  readonly readonly: boolean
}

export const podDirectory = (pod: Pod): string => `/var/lib/kubelet/pods/${pod.metadata.uid}`
export const accountMount = '/var/run/secrets/kubernetes.io/serviceaccount'
const accountVolume = 'kube-api-access'

/** The pod's volumes, with the service account's where no manifest names one. */
export function volumesOf(pod: Pod): readonly Volume[] {
  const volumes = pod.spec.volumes ?? []
  return needsAccount(pod)
    ? [
        ...volumes,
        {
          name: accountVolume,
          projected: {
            sources: [
              { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
              { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
              { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
            ],
          },
        },
      ]
    : volumes
}

const all = (pod: Pod): readonly Container[] => [
  ...pod.spec.containers,
  ...(pod.spec.initContainers ?? []),
  ...(pod.spec.ephemeralContainers ?? []),
]

function needsAccount(pod: Pod): boolean {
  if (pod.spec.automountServiceAccountToken === false) return false
  return !all(pod).some((c) => c.volumeMounts?.some((m) => m.mountPath === accountMount))
}

/** Makes a volume ready, or brings its files up to date. Throws MissingReference while an object is missing. */
export function prepareVolume(pod: Pod, volume: Volume, context: VolumeContext): ReadyVolume {
  if (volume.hostPath) {
    const { path, type = '' } = volume.hostPath
    // Without a type, runtimes make a directory of what is missing.
    return { source: path, readonly: false, type: type.replace(/OrCreate$/, '-or-create') || 'create' }
  }
  const kind = volume.emptyDir ? 'empty-dir' : volume.configMap ? 'configmap' : volume.secret ? 'secret' : 'projected'
  const source = `${podDirectory(pod)}/volumes/kubernetes.io~${kind}/${volume.name}`
  const directory = context.path(source)
  const group = pod.spec.securityContext?.fsGroup
  if (volume.emptyDir) {
    if (!existsSync(directory)) {
      mkdirSync(directory, { recursive: true })
      chmodSync(directory, 0o777)
      if (group !== undefined) {
        chownSync(directory, 0, group)
        chmodSync(directory, 0o2777)
      }
    }
    return { source, readonly: false }
  }
  const files = filesOf(pod, volume, context)
  if (!files)
    throw new Error(
      `volume "${volume.name}": this kind of volume does not exist in the lab (${Object.keys(volume)
        .filter((k) => k !== 'name')
        .join(', ')})`,
    )
  writeAtomically(directory, files, group)
  return { source, readonly: true }
}

export interface FileContent {
  readonly data: Buffer
  readonly mode: number
}

/** What a volume of files holds; undefined for other kinds. */
function filesOf(pod: Pod, volume: Volume, context: VolumeContext): Map<string, FileContent> | undefined {
  const files = new Map<string, FileContent>()
  if (volume.configMap) fromObject('configmaps', volume.configMap, volume.configMap.defaultMode ?? 0o644)
  else if (volume.secret) fromObject('secrets', volume.secret, volume.secret.defaultMode ?? 0o644)
  else if (volume.downwardAPI) fromFields(volume.downwardAPI.items, volume.downwardAPI.defaultMode ?? 0o644)
  else if (volume.projected) {
    const mode = volume.projected.defaultMode ?? 0o644
    for (const source of volume.projected.sources ?? []) {
      if (source.configMap) fromObject('configmaps', source.configMap, mode)
      if (source.secret) fromObject('secrets', source.secret, mode)
      if (source.downwardAPI) fromFields(source.downwardAPI.items, mode)
      if (source.serviceAccountToken) {
        const { path, expirationSeconds = 3600 } = source.serviceAccountToken
        const account = pod.spec.serviceAccountName ?? 'default'
        const token = context.token(pod.metadata.namespace, account, Math.max(600, expirationSeconds))
        files.set(path, { data: Buffer.from(token), mode })
      }
    }
  } else return undefined
  return files

  function fromObject(resource: string, source: ObjectSource, mode: number): void {
    const name = source.name ?? source.secretName ?? ''
    const object = context.store.find(resource, pod.metadata.namespace, name)
    const data = dataOf(object)
    // The cluster's own certificate is known without the ConfigMap that a controller copies into each namespace.
    if (!object && name === 'kube-root-ca.crt') data.set('ca.crt', Buffer.from(context.ca))
    else if (!object && !source.optional) {
      throw new MissingReference(`${resource === 'secrets' ? 'secret' : 'configmap'} "${name}" not found`)
    }
    if (!source.items) for (const [key, value] of data) files.set(key, { data: value, mode })
    for (const item of source.items ?? []) {
      const value = data.get(item.key)
      if (value) files.set(item.path, { data: value, mode: item.mode ?? mode })
      else if (!source.optional)
        throw new MissingReference(`references non-existent ${resource.slice(0, -1)} key: ${item.key}`)
    }
  }

  function fromFields(items: readonly DownwardItem[] = [], mode: number): void {
    for (const item of items) {
      const first = pod.spec.containers[0]
      const text = item.fieldRef
        ? fieldValue(pod, item.fieldRef, context.facts)
        : item.resourceFieldRef && first
          ? resourceValue(pod, first, item.resourceFieldRef, context.facts)
          : ''
      files.set(item.path, { data: Buffer.from(text), mode: item.mode ?? mode })
    }
  }
}

/**
 * The files appear all at once: they lie in a directory of their own, which the link `..data` names, and each name in
 * the volume is a link through it.
 */
export function writeAtomically(directory: string, files: ReadonlyMap<string, FileContent>, group?: number): void {
  mkdirSync(directory, { recursive: true })
  const link = join(directory, '..data')
  const before = linkTarget(link)
  const stamp = `..${before === '..1' ? '2' : '1'}`
  const fresh = join(directory, stamp)
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh)
  const tops = new Set<string>()
  for (const [path, { data, mode }] of files) {
    const clean = normalize(path)
    if (clean.startsWith('..') || clean.startsWith('/')) throw new Error(`path ${path} leads out of the volume`)
    mkdirSync(dirname(join(fresh, clean)), { recursive: true })
    writeFileSync(join(fresh, clean), data)
    chmodSync(join(fresh, clean), group === undefined ? mode : mode | 0o440)
    if (group !== undefined) chownSync(join(fresh, clean), 0, group)
    tops.add(clean.split('/')[0]!)
  }
  symlinkSync(stamp, `${link}_tmp`)
  renameSync(`${link}_tmp`, link)
  for (const top of tops) if (!lexists(join(directory, top))) symlinkSync(`..data/${top}`, join(directory, top))
  for (const name of readdirSync(directory)) {
    if (!name.startsWith('..') && !tops.has(name)) rmSync(join(directory, name), { force: true })
  }
  if (before) rmSync(join(directory, before), { recursive: true, force: true })
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function lexists(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}

/** The volume mounts of a container as the native side takes them, outer paths before inner ones. */
export function bindsOf(
  pod: Pod,
  container: Container,
  volumes: ReadonlyMap<string, ReadyVolume>,
  env: ReadonlyMap<string, string>,
  path: (inNode: string) => string,
): readonly string[] {
  const mounts: VolumeMount[] = [...(container.volumeMounts ?? [])]
  if (needsAccount(pod)) mounts.push({ name: accountVolume, mountPath: accountMount, readOnly: true })
  return mounts
    .toSorted((a, b) => a.mountPath.localeCompare(b.mountPath))
    .map((mount) => {
      const volume = volumes.get(mount.name)
      if (!volume) throw new Error(`volume mount "${mount.name}": the pod has no such volume`)
      const inside = mount.subPathExpr ? expand(mount.subPathExpr, env) : mount.subPath
      const options = [
        ...(mount.readOnly || volume.readonly ? ['ro'] : []),
        ...(mount.mountPropagation === 'Bidirectional' ? ['shared'] : []),
        ...(mount.mountPropagation === 'HostToContainer' ? ['slave'] : []),
        ...(volume.type && !inside ? [volume.type] : []),
      ]
      const source = inside ? subPath(volume, inside, path) : volume.source
      return [source, mount.mountPath, options.join(',')].join('\x1f')
    })
}

function subPath(volume: ReadyVolume, inside: string, path: (inNode: string) => string): string {
  const clean = normalize(inside)
  if (clean.startsWith('..') || clean.startsWith('/')) throw new Error(`subPath ${inside} must stay in the volume`)
  const source = join(volume.source, clean)
  if (volume.readonly) return source
  // A link that the pod has put there would be followed among this process's files, not the node's.
  let sofar = volume.source
  for (const part of clean.split('/')) {
    sofar = join(sofar, part)
    const stat = lstatSync(path(sofar), { throwIfNoEntry: false })
    if (!stat) mkdirSync(path(sofar), { mode: 0o777 })
    else if (stat.isSymbolicLink()) throw new Error(`subPath ${inside} is a symbolic link`)
  }
  return source
}
