// SPDX-License-Identifier: Apache-2.0
import { fieldAt } from '../../../protocol/kubeapi/fields.ts'
import { isMap, type KubeObject } from '../../../protocol/kubeapi/object.ts'
import { jsonPatch, mergePatch } from '../../../protocol/kubeapi/patch.ts'
import { resourceName, type ScalePaths } from '../../../protocol/kubeapi/resources.ts'
import { type LabelSelector, matchesLabels, printLabelSelector } from '../../../protocol/kubeapi/selector.ts'
import { badRequest, conflict, invalid, StatusError, wrongValue } from '../../../protocol/kubeapi/status.ts'
import { readObject, sendJson } from './message.ts'
import {
  deleteOptions,
  type ObjectCall,
  patchObject,
  readPatch,
  replaceObject,
  sendObject,
  writeOptions,
} from './objects.ts'
import type { ServerOptions } from './options.ts'
import type { Draft } from './store.ts'

const noMethod = () =>
  new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')

/** scale, binding, eviction, token, finalize and ephemeralcontainers. */
export async function subresource(options: ServerOptions, request: ObjectCall): Promise<void> {
  const { kind, route, call } = request
  const is = (plural: string, name: string) =>
    kind.group === '' && route.plural === plural && route.subresource === name
  if (route.subresource === 'scale' && kind.resource.scale) return scale(request, kind.resource.scale)
  if (is('pods', 'binding') && call.method === 'POST') return bind(request)
  if (is('pods', 'eviction') && call.method === 'POST') return evict(request)
  if (is('pods', 'ephemeralcontainers')) return ephemeral(request)
  if (is('serviceaccounts', 'token') && call.method === 'POST') return issueToken(options, request)
  if (is('namespaces', 'finalize') && call.method === 'PUT') return replaceObject(request)
  throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
}

/** The autoscaling/v1 Scale of an object. */
function scaleOf(object: KubeObject, paths: ScalePaths): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = paths.selector ? fieldAt(object, paths.selector) : undefined
  const text =
    typeof selector === 'string' ? selector : isMap(selector) ? printLabelSelector(asSelector(selector)) : undefined
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: name!,
      namespace: namespace!,
      uid: uid!,
      resourceVersion: resourceVersion!,
      creationTimestamp: creationTimestamp!,
    },
    spec: { replicas: fieldAt(object, paths.spec) ?? 0 },
    status: { replicas: fieldAt(object, paths.status) ?? 0, ...(text ? { selector: text } : {}) },
  }
}

/** A ReplicationController's selector is a plain map of labels. */
const asSelector = (selector: Record<string, unknown>): LabelSelector =>
  'matchLabels' in selector || 'matchExpressions' in selector
    ? selector
    : { matchLabels: selector as Record<string, string> }

async function scale(request: ObjectCall, paths: ScalePaths): Promise<void> {
  const { call, store, kind, route } = request
  const name = resourceName(kind.resource)
  const object = store.get(name, route.namespace, route.name)
  const current = scaleOf(object, paths)
  if (call.method === 'GET') return sendJson(call, 200, JSON.stringify(current))
  let wanted: unknown
  if (call.method === 'PUT') wanted = await readObject(call.incoming)
  else if (call.method === 'PATCH') {
    const patch = await readPatch(request)
    wanted = patch.type === 'json' ? jsonPatch(current, patch.operations) : mergePatch(current, patch.body)
  } else throw noMethod()
  const replicas = fieldAt(wanted, ['spec', 'replicas']) ?? 0
  if (typeof replicas !== 'number' || replicas < 0) {
    throw invalid({ group: 'autoscaling', plural: 'scales', kind: 'Scale' }, route.name, [
      wrongValue('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ])
  }
  const asked = fieldAt(wanted, ['metadata', 'resourceVersion'])
  if (asked && asked !== object.metadata.resourceVersion) throw conflict(kind.resource, route.name)
  const next = store.modify(
    name,
    route.namespace,
    route.name,
    (o) => put(o, paths.spec, replicas) as Draft,
    writeOptions(request),
  )
  sendJson(call, 200, JSON.stringify(scaleOf(next, paths)))
}

function put(at: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  const map = isMap(at) ? at : {}
  return { ...map, [key]: put(map[key], rest, value) }
}

async function bind(request: ObjectCall): Promise<void> {
  const { call, store, route } = request
  const body = await readObject(call.incoming)
  const node = fieldAt(body, ['target', 'name'])
  if (typeof node !== 'string' || node === '') throw badRequest('a Binding names its node in target.name')
  store.modify('pods', route.namespace, route.name, (pod) => {
    const spec = (pod['spec'] ?? {}) as Record<string, unknown>
    if (spec['nodeName'])
      throw conflict(
        request.kind.resource,
        route.name,
        `pod ${route.name} is already assigned to node "${spec['nodeName']}"`,
      )
    return { ...pod, spec: { ...spec, nodeName: node } }
  })
  sendJson(call, 201, JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }))
}

async function evict(request: ObjectCall): Promise<void> {
  const { call, store, route } = request
  const pod = store.get('pods', route.namespace, route.name)
  const body = await readObject(call.incoming)
  for (const budget of store.list('poddisruptionbudgets.policy', { namespace: route.namespace })) {
    const selector = fieldAt(budget, ['spec', 'selector']) as LabelSelector | undefined
    const allowed = fieldAt(budget, ['status', 'disruptionsAllowed'])
    if (!matchesLabels(selector, pod.metadata.labels) || (typeof allowed === 'number' && allowed > 0)) continue
    throw new StatusError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
      causes: [
        {
          reason: 'DisruptionBudget',
          message: `The disruption budget ${budget.metadata.name} allows no disruption now`,
        },
      ],
    })
  }
  const how = fieldAt(body, ['deleteOptions'])
  store.delete('pods', route.namespace, route.name, deleteOptions(request, isMap(how) ? how : undefined))
  sendJson(call, 201, JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }))
}

async function ephemeral(request: ObjectCall): Promise<void> {
  const { call, store, route } = request
  if (call.method === 'GET') return sendObject(request, 200, store.get('pods', route.namespace, route.name))
  if (call.method === 'PATCH') return patchObject(request)
  if (call.method === 'PUT') return replaceObject(request)
  throw noMethod()
}

async function issueToken({ access, clock }: ServerOptions, request: ObjectCall): Promise<void> {
  const { call, store, route } = request
  store.get('serviceaccounts', route.namespace, route.name)
  const body = (await readObject(call.incoming)) ?? {}
  const seconds = Number(fieldAt(body, ['spec', 'expirationSeconds']) ?? 3600)
  const now = clock.now()
  const status = {
    token: access.issue(route.namespace, route.name, seconds, now),
    expirationTimestamp: new Date(now + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
  }
  const answer = {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: route.name, namespace: route.namespace },
    spec: body['spec'] ?? {},
    status,
  }
  sendJson(call, 201, JSON.stringify(answer))
}
