// SPDX-License-Identifier: Apache-2.0
import { createHash, randomUUID } from 'node:crypto'
import { messages } from '../../../../gen/kubeapi/messages.ts'
import { aggregated, apiGroup, groupsOf, resourceList, type Served } from '../../../protocol/kubeapi/discovery.ts'
import { openApiDocument } from '../../../protocol/kubeapi/openapi.ts'
import { builtinResources } from '../../../protocol/kubeapi/resources.ts'
import { StatusError } from '../../../protocol/kubeapi/status.ts'
import { servedKinds } from './kinds.ts'
import { type Call, sendJson } from './message.ts'
import type { ServerOptions } from './options.ts'
import type { Store } from './store.ts'

const json = 'application/json'

/** Answers true when the path was one of discovery. */
export function sendDiscovery({ store }: ServerOptions, call: Call, path: string): boolean {
  const kinds = servedKinds(store)
  const accept = String(call.incoming.headers.accept ?? '')
  const wanted = /g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList/.exec(accept)?.[1] as
    | 'v2'
    | 'v2beta1'
    | undefined
  const parts = path.split('/').slice(1)
  const core = parts[0] === 'api'
  if (parts.length === 1) {
    if (wanted) {
      const chosen = kinds.filter((k) => (k.group === '') === core)
      sendTagged(
        call,
        JSON.stringify(aggregated(wanted, chosen)),
        `${json};g=apidiscovery.k8s.io;v=${wanted};as=APIGroupDiscoveryList`,
      )
    } else if (core)
      sendJson(call, 200, JSON.stringify({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }))
    else {
      const groups = [...groupsOf(kinds)].filter(([g]) => g !== '').map(([g, v]) => apiGroup(g, v))
      sendJson(call, 200, JSON.stringify({ kind: 'APIGroupList', apiVersion: 'v1', groups }))
    }
    return true
  }
  const group = core ? '' : parts[1]!
  const versions = groupsOf(kinds).get(group)
  if (!versions) return false
  if (!core && parts.length === 2) {
    sendJson(call, 200, JSON.stringify({ kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group, versions) }))
    return true
  }
  const version = parts.at(-1)!
  if (!versions.includes(version)) return false
  const chosen = kinds.filter((k) => k.group === group && k.version === version)
  sendJson(call, 200, JSON.stringify(resourceList(core ? version : `${group}/${version}`, chosen)))
  return true
}

/** Answers with an ETag; 304 to a client that has it. */
function sendTagged(call: Call, body: string, type: string): void {
  const tag = `"${hash(body)}"`
  call.outgoing.setHeader('etag', tag)
  call.outgoing.setHeader('vary', 'Accept')
  if (call.incoming.headers['if-none-match'] === tag) {
    call.outgoing.statusCode = 304
    call.outgoing.end()
  } else sendJson(call, 200, body, type)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32).toUpperCase()
}

interface Documents {
  readonly changes: number
  readonly byPath: Map<string, string>
}
const builtin = new Map<string, string>()
const declared = new WeakMap<Store, Documents>()
/** The built-in documents change with the program only. */
const builtinTag = hash(messages + JSON.stringify(builtinResources))
/** Tells apart the definitions of different runs, for clients that keep documents on disk. */
const run = randomUUID()

/**
 * The older document, as protobuf (gnostic's openapi.v2.Document: 1 swagger, 2 info { 1 title, 2 version }), without kinds.
 * kubectl asks for it when a file holds a `kind: List`, and skips what it does not find in it; fields are validated here.
 */
const emptyOpenApiV2 = Buffer.from('\x0a\x032.0\x12\x10\x0a\x0aKubernetes\x12\x02v1', 'latin1')

/** `/openapi/v3` and the documents below it, made when first asked for; those of CRDs anew when a CRD changes. */
export function sendOpenApi({ store, crds }: ServerOptions, call: Call): void {
  let held = declared.get(store)
  if (held?.changes !== crds.changes) {
    held = { changes: crds.changes, byPath: new Map() }
    declared.set(store, held)
  }
  const kinds = servedKinds(store)
  const custom = new Set(
    store.resources().flatMap((r) => (r.custom ? r.versions.map((v) => `apis/${r.group}/${v}`) : [])),
  )
  const paths = new Map<string, string>()
  for (const [group, versions] of groupsOf(kinds)) {
    for (const v of versions) paths.set(group ? `apis/${group}/${v}` : `api/${v}`, group ? `${group}/${v}` : v)
  }
  const tagOf = (path: string): string => hash(`${path} ${custom.has(path) ? `${run} ${held.changes}` : builtinTag}`)
  const documentOf = (path: string): string => {
    const cache = custom.has(path) ? held.byPath : builtin
    let text = cache.get(path)
    if (text === undefined) {
      const groupVersion = paths.get(path)!
      const chosen = kinds.filter(
        (k) => (k.group ? `${k.group}/${k.version}` : k.version) === groupVersion && k.verbs.includes('get'),
      )
      const schemaOf = (s: Served) =>
        crds.version(store.resource(`${s.plural}.${s.group}`), s.version)?.schema?.openAPIV3Schema
      text = JSON.stringify(openApiDocument(groupVersion, chosen, schemaOf))
      cache.set(path, text)
    }
    return text
  }
  const path = call.path.replace(/^\/openapi\/v3\/?/, '').replace(/\/+$/, '')
  if (call.path.startsWith('/openapi/v3') && path === '') {
    const entry = (p: string) => ({ serverRelativeURL: `/openapi/v3/${p}?hash=${tagOf(p)}` })
    sendJson(call, 200, JSON.stringify({ paths: Object.fromEntries([...paths.keys()].map((p) => [p, entry(p)])) }))
  } else if (call.path.startsWith('/openapi/v3/') && paths.has(path)) {
    if (call.query.has('hash')) call.outgoing.setHeader('cache-control', 'public, immutable')
    sendJson(call, 200, documentOf(path))
  } else if (call.path === '/openapi/v2') {
    call.outgoing.setHeader('content-type', 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
    call.outgoing.end(emptyOpenApiV2)
  } else throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
}
