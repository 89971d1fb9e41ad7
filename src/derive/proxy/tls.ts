// SPDX-License-Identifier: Apache-2.0
import { fromBase64 } from '../../base/bytes.ts'
import type { EnvoyResource, SecretRef, TlsContext, TlsRule } from '../../model/proxy.ts'
import type { PolicySecret } from '../../model/secret.ts'
import type { HttpEntry } from './routes.ts'

/** A rule of a policy with what it asks of TLS and of requests. */
export interface Layer7Entry extends HttpEntry {
  readonly tls?: TlsRule
}

type Json = { readonly [name: string]: unknown }
type Entries = readonly Layer7Entry[]

/** One filter chain of a listener: which connections it takes, and what is asked of them. */
export type Chain =
  /** Requests are asked; `tls`: the client's TLS ends here. */
  | {
      readonly kind: 'http'
      readonly name: string
      readonly match?: Json
      readonly tls?: TlsContext
      readonly lists: readonly Entries[]
      /** Of each of these one must be the name asked for. */
      readonly names: readonly (readonly string[])[]
    }
  /** TLS passes as it is; of each list one name must be the one asked for. */
  | {
      readonly kind: 'names'
      readonly name: string
      readonly match: Json
      readonly lists: readonly (readonly string[])[]
    }

const isPassing = (e: Layer7Entry): boolean => e.tls !== undefined && !e.tls.terminating && e.http.length === 0
const isPlain = (e: Layer7Entry): boolean => !e.tls?.terminating && (!e.tls || e.http.length > 0)

/** Expression for the names a pattern of Cilium means. */
export const namesOf = (pattern: string): string => {
  if (pattern === '*' || pattern === '**') return '.+'
  const [, stars = '', rest = ''] = /^(\*{0,2})\.?(.*)$/.exec(pattern) ?? []
  const literal = rest.replace(/[.]/g, '[.]')
  return stars === '' ? literal : stars === '*' ? `[^.]+[.]${literal}` : `([^.]+[.])+${literal}`
}

/** Whether a pattern of Cilium means the name of a server. */
export const meansServer = (pattern: string, name: string): boolean =>
  new RegExp(`^(?:${namesOf(pattern)})$`).test(name)

/**
 * The chains of a listener; without any TLS in its rules it is one, which takes everything. Of two lists the first is the
 * client's: its rules are asked of what the client says, and the server's of what comes out of that. Where the first begins
 * TLS anew the second could only be asked by another pass: such connections no chain takes.
 */
export function chainsOf(all: readonly Entries[]): readonly Chain[] {
  const lists = all.map((l, i) => (i + 1 < all.length ? l.filter((e) => !e.tls?.originating) : l))
  const plain = lists.map((l) => l.filter(isPlain))
  if (all.every((l, i) => l.length === plain[i]?.length)) return [{ kind: 'http', name: '', lists: plain, names: [] }]
  const out: Chain[] = []
  if (plain.every((l) => l.length > 0))
    out.push({ kind: 'http', name: '', match: { transport_protocol: 'raw_buffer' }, lists: plain, names: [] })
  const taken = new Set<string>()
  const take: Take = (name, chain) => {
    // An Envoy name with `*.` means any number of labels.
    const envoyName = name.replace(/^\*{1,2}(?=[.])/, '*')
    if (taken.has(envoyName)) return
    taken.add(envoyName)
    out.push(chain({ transport_protocol: 'tls', ...(envoyName === '' ? {} : { server_names: [envoyName] }) }))
  }
  const names = lists.map((l) => [...new Set(l.filter(isPassing).flatMap((e) => e.tls?.serverNames ?? []))].sort())
  // Where TLS ends, later rules are for what comes out of it, and earlier ones for the name alone.
  for (const [i, list] of lists.entries()) {
    const [before, after] = [names.slice(0, i), plain.slice(i + 1)]
    if ([...before, ...after].every((l) => l.length > 0)) terminated(list, before, after, take)
  }
  if (names.some((l) => l.length === 0)) return out
  for (const name of new Set(names.flat().filter((n) => !n.includes('*'))))
    if (names.every((l) => l.some((p) => meansServer(p, name))))
      take(name, (match) => ({ kind: 'names', name: `sni ${name}`, match, lists: [] }))
  if (names.flat().some((n) => n.includes('*')))
    take('', (match) => ({ kind: 'names', name: 'sni', match, lists: names }))
  return out
}

type Take = (name: string, chain: (match: Json) => Chain) => void

/** A name that several rules mean is for all of them; what ends TLS in two ways for one name is decided by the first. */
function terminated(
  list: Entries,
  before: readonly (readonly string[])[],
  after: readonly Entries[],
  take: Take,
): void {
  const entries = list.filter((e) => e.tls?.terminating)
  for (const { tls } of entries) {
    const context = tls?.terminating as TlsContext
    const group = entries.filter((e) => JSON.stringify(e.tls?.terminating) === JSON.stringify(context))
    const nameless = group.filter((e) => e.tls?.serverNames.length === 0)
    for (const name of new Set(group.flatMap((e) => e.tls?.serverNames ?? []))) {
      const meant = group.filter((e) =>
        e.tls?.serverNames.some((p) => p === name || (!name.includes('*') && meansServer(p, name))),
      )
      const one = /^[*][.]/.test(name) || name === '*' || name === '**'
      take(name.length <= 2 && one ? '' : name, (match) => ({
        kind: 'http',
        name: `tls ${name}`,
        match,
        tls: context,
        lists: [[...meant, ...nameless], ...after],
        names: one ? [[name], ...before] : before,
      }))
    }
    if (nameless.length > 0)
      take('', (match) => ({
        ...{ kind: 'http', name: 'tls', match, tls: context, lists: [nameless, ...after], names: before },
      }))
  }
}

export type SecretOf = (ref: SecretRef) => PolicySecret | undefined

/** A context's part of a transport socket, and the secrets it names; a text says what is missing. */
export interface Material {
  readonly common: Json
  readonly checked: boolean
  readonly secrets: readonly EnvoyResource[]
}

const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret'

/** `owner` begins the names of the resources: a secret that two listeners use is two resources. */
export function materialOf(owner: string, context: TlsContext, must: boolean, secretOf: SecretOf): Material | string {
  const { namespace, name } = context.secret
  const secret = secretOf(context.secret)
  if (!secret) return `secret ${namespace}/${name} is missing`
  const item = (key: string, usual: string): Uint8Array | undefined => fromBase64(secret.data[key || usual] ?? '')
  const [ca, certificate, key] = [
    item(context.trustedCA, 'ca.crt'),
    item(context.certificate, 'tls.crt'),
    item(context.privateKey, 'tls.key'),
  ].map((bytes) => (bytes?.length ? { inline_bytes: bytes } : undefined))
  for (const wanted of [!ca && context.trustedCA, !certificate && context.certificate, !key && context.privateKey])
    if (wanted) return `secret ${namespace}/${name} has no ${wanted}`
  if (must && !(certificate && key)) return `secret ${namespace}/${name} has no ${certificate ? 'tls.key' : 'tls.crt'}`
  const secrets: EnvoyResource[] = []
  const add = (what: string, body: Json): Json => {
    const id = `${owner} ${namespace}/${name} ${what}`
    secrets.push({ type: SECRET, name: id, body: { '@type': SECRET, name: id, ...body } })
    return { name: id, sds_config: { ads: {}, resource_api_version: 'V3' } }
  }
  const common: Json = {
    ...(certificate && key
      ? {
          tls_certificate_sds_secret_configs: [
            add('certificate', { tls_certificate: { certificate_chain: certificate, private_key: key } }),
          ],
        }
      : {}),
    ...(ca ? { validation_context_sds_secret_config: add('ca', { validation_context: { trusted_ca: ca } }) } : {}),
  }
  return { common, checked: ca !== undefined, secrets }
}
