// SPDX-License-Identifier: Apache-2.0
import { badRequest } from '../../../protocol/kubeapi/status.ts'

/** A request path below /api/v1 or /apis/GROUP/VERSION. */
export interface Route {
  readonly group: string
  readonly version: string
  /** '' for cluster-scoped objects and for lists over all namespaces. */
  readonly namespace: string
  readonly plural: string
  readonly name: string
  readonly subresource: string
  /** What follows the subresource, for proxies. */
  readonly rest: string
}

/** Undefined when the path names no resource. Throws BadRequest for one that can not be decoded. */
export function parseRoute(path: string): Route | undefined {
  const parts = path
    .split('/')
    .filter((p) => p !== '')
    .map(decoded)
  const head = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : 0
  if (head === 0 || parts.length <= head) return undefined
  const group = head === 2 ? '' : parts[1]!
  const version = parts[head - 1]!
  const rest = parts.slice(head)
  const inNamespace =
    rest[0] === 'namespaces' && rest.length > 2 && !(rest.length === 3 && namespaceSubresources.has(rest[2]!))
  const [plural = '', name = '', subresource = '', ...more] = inNamespace ? rest.slice(2) : rest
  return { group, version, namespace: inNamespace ? rest[1]! : '', plural, name, subresource, rest: more.join('/') }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw badRequest(`the path holds ${JSON.stringify(part)}, which can not be decoded`)
  }
}

const namespaceSubresources = new Set(['status', 'finalize'])
