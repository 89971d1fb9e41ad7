// SPDX-License-Identifier: Apache-2.0
import { isMap, type JsonMap, type KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { JsonOperation, Patch } from '../../../protocol/kubeapi/patch.ts'
import { resourceName } from '../../../protocol/kubeapi/resources.ts'
import { badRequest, gone, type Status, StatusError } from '../../../protocol/kubeapi/status.ts'
import type { Kind } from './kinds.ts'
import { type Call, mediaType, parseText, readBody, readObject, sendJson, sendStatus } from './message.ts'
import { type Form, formOf, jsonOf, metadataJsonOf, tableJson } from './representation.ts'
import type { Route } from './route.ts'
import type { DeleteOptions, Draft, Filter, Store, WriteOptions } from './store.ts'

/** A request for objects of one kind. */
export interface ObjectCall {
  readonly call: Call
  readonly store: Store
  readonly kind: Kind
  readonly route: Route
  readonly now: number
}

const accept = ({ call }: ObjectCall): string => String(call.incoming.headers.accept ?? '')

export const formOfCall = (request: ObjectCall): Form => formOf(accept(request))

export function filterOf({ call, route }: ObjectCall): Filter {
  const { query } = call
  const labels = query.get('labelSelector')
  const fields = [query.get('fieldSelector'), route.name ? `metadata.name=${route.name}` : ''].filter(Boolean).join(',')
  return { namespace: route.namespace, ...(labels ? { labels } : {}), ...(fields ? { fields } : {}) }
}

/** Reads the body as an object of the kind; unknown fields are refused, warned of or dropped, as the client asks. */
function readBodyObject(request: ObjectCall, body: Record<string, unknown> | undefined): Draft {
  const { call, kind } = request
  if (!body) throw badRequest('the body is empty; it must hold an object')
  const mode = call.query.get('fieldValidation') ?? 'Warn'
  const unknown: string[] = []
  const read = withContext(kind, body, () => kind.read(body, (path) => unknown.push(path)))
  if (!isMap(read['metadata'])) read['metadata'] = {}
  if (unknown.length > 0 && mode === 'Strict') throw badRequest(strictText(kind, body, unknown))
  if (mode === 'Warn') call.warnings.push(...unknown.map((path) => `unknown field "${path}"`))
  return read as unknown as Draft
}

const handled = (kind: Kind): string =>
  `${kind.resource.kind} in version "${kind.version}" cannot be handled as a ${kind.resource.kind}`
const strictText = (kind: Kind, _: unknown, unknown: readonly string[]): string =>
  `${handled(kind)}: strict decoding error: ${unknown.map((path) => `unknown field "${path}"`).join(', ')}`

function withContext<T>(kind: Kind, _: unknown, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof StatusError && error.message.startsWith('json:'))
      throw badRequest(`${handled(kind)}: ${error.message}`)
    throw error
  }
}

export const writeOptions = ({ call }: ObjectCall): WriteOptions => ({
  dryRun: call.query.getAll('dryRun').includes('All'),
  manager:
    call.query.get('fieldManager') ?? String(call.incoming.headers['user-agent'] ?? 'unknown').split(/[/ ]/, 1)[0]!,
})

/** Answers one object in the form the client wants. */
export function sendObject(request: ObjectCall, code: number, stored: KubeObject): void {
  const { call, kind, now } = request
  const object = kind.out(stored)
  const form = formOfCall(request)
  const include = call.query.get('includeObject') ?? 'Metadata'
  const text =
    form === 'table'
      ? tableJson(
          [object],
          { resourceVersion: object.metadata.resourceVersion },
          { columns: kind.columns, now, include },
        )
      : form === 'metadata'
        ? metadataJsonOf(object)
        : jsonOf(object)
  sendJson(call, code, text)
}

/** GET of one object or of a list, whole or a page of it. */
export function getObjects(request: ObjectCall): void {
  const { store, kind, route } = request
  const name = resourceName(kind.resource)
  if (route.name) {
    sendObject(request, 200, store.get(name, route.namespace, route.name))
  } else {
    const page = pageOf(request, store.list(name, filterOf(request)))
    sendList(request, page.items, page.metadata)
  }
}

interface Continue {
  readonly revision: number
  readonly after: string
}

const keyOf = (o: KubeObject): string => `${o.metadata.namespace ?? ''}/${o.metadata.name}`

function pageOf(
  { call, store }: ObjectCall,
  all: readonly KubeObject[],
): { items: readonly KubeObject[]; metadata: object } {
  const limit = Number(call.query.get('limit') ?? 0)
  const token = call.query.get('continue')
  const from = token ? readContinue(token) : undefined
  if (from && from.revision > store.revision)
    throw gone('The provided continue parameter is too old to display a consistent list result.')
  const rest = from ? all.filter((o) => keyOf(o) > from.after) : all
  const items = limit > 0 ? rest.slice(0, limit) : rest
  // Later pages keep the first page's version: a watch from there sees whatever changed while paging.
  const revision = from?.revision ?? store.revision
  const metadata: Record<string, unknown> = { resourceVersion: String(revision) }
  if (items.length < rest.length) {
    metadata['continue'] = Buffer.from(JSON.stringify({ revision, after: keyOf(items.at(-1)!) })).toString('base64url')
    metadata['remainingItemCount'] = rest.length - items.length
  }
  return { items, metadata }
}

function readContinue(token: string): Continue {
  try {
    const value = JSON.parse(Buffer.from(token, 'base64url').toString()) as Continue
    if (typeof value.revision === 'number' && typeof value.after === 'string') return value
  } catch {}
  throw badRequest('continue key is not valid')
}

function sendList(request: ObjectCall, items: readonly KubeObject[], metadata: object): void {
  const { call, kind, now } = request
  const form = formOfCall(request)
  const shown = items.map(kind.out)
  const include = call.query.get('includeObject') ?? 'Metadata'
  const [listKind, apiVersion, text] =
    form === 'metadata'
      ? ['PartialObjectMetadataList', 'meta.k8s.io/v1', metadataJsonOf]
      : [`${kind.resource.kind}List`, kind.apiVersion, jsonOf]
  const whole = (): string =>
    `{"kind":"${listKind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(metadata)},"items":[${shown.map(text).join(',')}]}`
  sendJson(call, 200, form === 'table' ? tableJson(shown, metadata, { columns: kind.columns, now, include }) : whole())
}

export async function createObject(request: ObjectCall): Promise<void> {
  const { call, store, kind, route } = request
  if (route.name)
    throw new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
  const draft = placed(request, readBodyObject(request, await readObject(call.incoming)))
  const { status: _, ...fresh } = draft
  const keepsStatus = !kind.resource.status || kind.resource.plural === 'nodes'
  sendObject(
    request,
    201,
    store.create(resourceName(kind.resource), keepsStatus ? draft : (fresh as Draft), writeOptions(request)),
  )
}

/** The draft in the namespace, and under the name, of the path. */
export function placed({ kind, route }: ObjectCall, draft: Draft): Draft {
  const { namespace, name } = draft.metadata
  if (kind.resource.namespaced && namespace && namespace !== route.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (route.name && name && name !== route.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${route.name})`)
  }
  const metadata = { ...draft.metadata, ...(route.name ? { name: route.name } : {}) }
  return { ...draft, metadata: kind.resource.namespaced ? { ...metadata, namespace: route.namespace } : metadata }
}

export async function replaceObject(request: ObjectCall, subresource?: 'status'): Promise<void> {
  const { call, store, kind } = request
  const draft = placed(request, readBodyObject(request, await readObject(call.incoming)))
  const name = resourceName(kind.resource)
  const options = writeOptions(request)
  sendObject(request, 200, subresource ? store.updateStatus(name, draft, options) : store.update(name, draft, options))
}

export async function patchObject(request: ObjectCall, subresource?: 'status'): Promise<void> {
  const { store, kind, route } = request
  const name = resourceName(kind.resource)
  const existed = store.find(name, route.namespace, route.name) !== undefined
  const patch = await readPatch(request)
  const checked =
    patch.type === 'apply'
      ? { ...patch, body: placed(request, readBodyObject(request, { ...patch.body })) as unknown as JsonMap }
      : patch
  const checker = (object: Draft) => readBodyObject(request, { ...object, apiVersion: kind.apiVersion })
  const options = { ...writeOptions(request), ...(subresource ? { subresource } : {}), check: checker }
  sendObject(request, existed ? 200 : 201, store.patch(name, route.namespace, route.name, checked, options))
}

export async function readPatch({ call, kind }: ObjectCall): Promise<Patch> {
  const type = mediaType(call.incoming)
  const body = parseText(await readBody(call.incoming), type)
  if (type === 'application/json-patch+json') {
    if (!Array.isArray(body)) throw badRequest('a JSON patch is a list of operations')
    return { type: 'json', operations: body as JsonOperation[] }
  }
  if (!isMap(body)) throw badRequest('the patch must be an object')
  const map = body as JsonMap
  if (type === 'application/merge-patch+json') return { type: 'merge', body: map }
  if (type === 'application/strategic-merge-patch+json' && !kind.resource.custom)
    return { type: 'strategic', body: map }
  if (type === 'application/apply-patch+yaml') {
    const manager = call.query.get('fieldManager')
    if (!manager)
      throw badRequest(
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      )
    return { type: 'apply', body: map, manager, force: call.query.get('force') === 'true' }
  }
  const accepted = [
    'json-patch+json',
    'merge-patch+json',
    ...(kind.resource.custom ? [] : ['strategic-merge-patch+json']),
    'apply-patch+yaml',
  ]
  throw new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.map((t) => `application/${t}`).join(', ')}`,
  )
}

export async function deleteObjects(request: ObjectCall): Promise<void> {
  const { call, store, kind, route } = request
  const name = resourceName(kind.resource)
  const options = deleteOptions(request, await readObject(call.incoming))
  if (route.name) return sendDeleted(request, store.delete(name, route.namespace, route.name, options))
  const items = store.list(name, filterOf(request))
  for (const item of items) store.delete(name, item.metadata.namespace ?? '', item.metadata.name!, options)
  sendList(request, items, { resourceVersion: String(store.revision) })
}

export function deleteOptions(request: ObjectCall, body: Record<string, unknown> | undefined): DeleteOptions {
  const { query } = request.call
  const policy =
    body?.['propagationPolicy'] ??
    query.get('propagationPolicy') ??
    (body?.['orphanDependents'] === true ? 'Orphan' : undefined)
  if (policy !== undefined && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw badRequest(`invalid propagationPolicy ${JSON.stringify(policy)}: one of Background, Foreground, Orphan`)
  }
  const grace =
    body?.['gracePeriodSeconds'] ??
    (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined)
  const conditions = (isMap(body?.['preconditions']) ? body['preconditions'] : {}) as {
    uid?: string
    resourceVersion?: string
  }
  const dry = Array.isArray(body?.['dryRun']) && body['dryRun'].includes('All')
  return {
    dryRun: dry || query.getAll('dryRun').includes('All'),
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(conditions.uid ? { uid: conditions.uid } : {}),
    ...(conditions.resourceVersion ? { resourceVersion: conditions.resourceVersion } : {}),
  }
}

function sendDeleted(request: ObjectCall, result: KubeObject | Status): void {
  if (result.kind === 'Status') sendStatus(request.call, result as Status)
  else sendObject(request, 200, result as KubeObject)
}
