// SPDX-License-Identifier: Apache-2.0
// A Kube that keeps objects in memory: for tests of those who write objects. No validation, no watches.
import type { Kube } from './client.ts'
import { type KubeObject, pathOf, type Resource } from './resource.ts'
import { KubeError } from './status.ts'

export interface FakeKube extends Kube {
  /** Every call that changes something: `POST /path`, in order. */
  readonly calls: string[]
  readonly objects: Map<string, KubeObject>
  /** Throws instead of answering, while set. */
  fault: Error | undefined
  put(resource: Resource, object: KubeObject): KubeObject
}

const absent = (what: string) => new KubeError(404, 'NotFound', `${what} not found`)

export function fakeKube(): FakeKube {
  let version = 0
  const objects = new Map<string, KubeObject>()
  const calls: string[] = []
  const stamp = (o: KubeObject): KubeObject => ({
    ...o,
    metadata: {
      uid: `uid-${++version}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...o.metadata,
      resourceVersion: String(++version),
    },
  })
  const call = (method: string, path: string): void => {
    if (fake.fault) throw fake.fault
    if (method !== 'GET') calls.push(`${method} ${path}`)
  }
  const found = (path: string): KubeObject => {
    const object = objects.get(path)
    if (!object) throw absent(path)
    return object
  }
  const fake: FakeKube = {
    server: 'memory',
    calls,
    objects,
    fault: undefined,
    put(resource, object) {
      const stamped = stamp(object)
      objects.set(pathOf(resource, object.metadata.namespace, object.metadata.name), stamped)
      return stamped
    },
    request: () => Promise.reject(new Error('not in this fake')),
    stream: () => Promise.reject(new Error('not in this fake')),
    async get(resource, namespace, name) {
      call('GET', '')
      return found(pathOf(resource, namespace, name)) as never
    },
    async list(resource) {
      call('GET', '')
      const root = pathOf(resource).slice(0, -resource.plural.length)
      const items = [...objects].filter(([path]) => path.startsWith(root) && path.includes(`/${resource.plural}/`))
      return { items: items.map(([, o]) => o) as never[], resourceVersion: String(version), continue: '' }
    },
    async create(resource, namespace, object) {
      const o = object as KubeObject
      const path = pathOf(resource, namespace, o.metadata.name)
      call('POST', path)
      if (objects.has(path)) throw new KubeError(409, 'AlreadyExists', `${path} already exists`)
      return fake.put(resource, { ...o, metadata: { ...o.metadata, ...(namespace ? { namespace } : {}) } }) as never
    },
    async update(resource, object) {
      const path = pathOf(resource, object.metadata.namespace, object.metadata.name)
      call('PUT', path)
      const there = found(path)
      if (object.metadata.resourceVersion && object.metadata.resourceVersion !== there.metadata.resourceVersion)
        throw new KubeError(409, 'Conflict', `${path} has been modified`)
      return fake.put(resource, object) as never
    },
    async patch(resource, namespace, name, patch) {
      const path = pathOf(resource, namespace, name)
      call('PATCH', path)
      const there = found(path)
      return fake.put(resource, (Array.isArray(patch) ? there : merge(there, patch)) as KubeObject) as never
    },
    async delete(resource, namespace, name, options) {
      const path = pathOf(resource, namespace, name)
      call('DELETE', path)
      const there = found(path)
      const wanted = (options as { preconditions?: { resourceVersion?: string } } | undefined)?.preconditions
        ?.resourceVersion
      if (wanted && wanted !== there.metadata.resourceVersion)
        throw new KubeError(409, 'Conflict', `${path} has been modified`)
      objects.delete(path)
      return {}
    },
    close() {},
  }
  return fake
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const out: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete out[key]
    else out[key] = merge(out[key], value)
  return out
}
