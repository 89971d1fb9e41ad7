// SPDX-License-Identifier: Apache-2.0
import type { HeaderMatch, HttpRule, SecretRef } from '../../model/proxy.ts'

/** A rule of a policy with what it asks of requests. */
export interface HttpEntry {
  /** Key of the rule. */
  readonly rule: string
  /** Empty: every request passes by it. */
  readonly http: readonly HttpRule[]
  /** Where requests go that pass by it, if not to the listener's own. */
  readonly cluster?: string
}

type Json = { readonly [name: string]: unknown }

/** Name of the route that refuses; the others have the names of the rules they stand for. */
export const DENIED = 'denied'
/** What refused requests get. */
const deniedBody = 'Access denied\r\n'

interface Variant {
  readonly headers: readonly Json[]
  readonly add: readonly Json[]
  readonly remove: readonly string[]
}
const nothing: Variant = { headers: [], add: [], remove: [] }

/**
 * Routes of a listener: a request passes by the first that matches, or is refused by the last. With two lists of rules,
 * those of both ends of a connection, it must match one of each.
 */
export function routesOf(lists: readonly (readonly HttpEntry[])[], cluster: string): readonly Json[] {
  let ways: readonly { readonly name: string; readonly variant: Variant; readonly to: string }[] = [
    { name: '', variant: nothing, to: cluster },
  ]
  for (const entries of lists) {
    const next = entries.flatMap(({ rule, http, cluster: to = cluster }) =>
      http.length === 0
        ? [{ name: rule, variant: nothing, to }]
        : http.flatMap((h, i) => variants(h).map((variant) => ({ name: `${rule}.rules.http[${i}]`, variant, to }))),
    )
    ways = ways.flatMap((way) =>
      next.map(({ name, variant, to }) => ({
        to,
        name: way.name === '' ? name : `${way.name} & ${name}`,
        variant: join(way.variant, variant),
      })),
    )
  }
  return [
    ...ways.map(({ name, to, variant: { headers, add, remove } }) => ({
      name,
      match: { prefix: '/', ...(headers.length > 0 ? { headers } : {}) },
      route: { cluster: to, timeout: '0s' },
      ...(add.length > 0 ? { request_headers_to_add: add } : {}),
      ...(remove.length > 0 ? { request_headers_to_remove: remove } : {}),
    })),
    { name: DENIED, match: { prefix: '/' }, direct_response: denied },
    { name: DENIED, match: { connect_matcher: {} }, direct_response: denied },
  ]
}

const denied = { status: 403, body: { inline_string: deniedBody } }

const join = (a: Variant, b: Variant): Variant => ({
  headers: [...a.headers, ...b.headers],
  add: [...a.add, ...b.add],
  remove: [...a.remove, ...b.remove],
})

/** An expression for the whole value; most have nothing to search for, and comparing costs Envoy a tenth. */
const whole = (name: string, regex: string): Json => ({
  name,
  string_match: /^[^\\^$.|?*+()[\]{}]+$/.test(regex) ? { exact: regex } : { safe_regex: { regex } },
})
const exactly = ({ name, value }: HeaderMatch): Json =>
  value === '' ? { name, present_match: true } : { name, string_match: { exact: value } }

/** The rules with the values that secrets hold; `secretValue` tells that of one. */
export const withSecrets = (
  http: readonly HttpRule[],
  secretValue: (ref: SecretRef) => string | undefined,
): readonly HttpRule[] =>
  http.map((rule) =>
    rule.headers.some((h) => h.secret)
      ? {
          ...rule,
          headers: rule.headers.map((h) => {
            const value = (h.secret && secretValue(h.secret)) || h.value
            return h.secret && value !== '' ? { name: h.name, value, mismatch: h.mismatch } : h
          }),
        }
      : rule,
  )

/** A rule as matchers. A header that is mended on mismatch makes two variants: it matches, or it is mended. */
function variants(rule: HttpRule): readonly Variant[] {
  const always: Json[] = []
  if (rule.path !== '') always.push(whole(':path', rule.path))
  if (rule.method !== '') always.push(whole(':method', rule.method))
  if (rule.host !== '') always.push(whole(':authority', rule.host))
  let out: readonly Variant[] = [{ headers: always, add: [], remove: [] }]
  for (const h of rule.headers) {
    // Its secret is not there: nothing matches what is not known, and nothing can be mended with it.
    if (h.secret && h.value === '') {
      if (h.mismatch === '' || h.mismatch === 'ADD' || h.mismatch === 'REPLACE') return []
      if (h.mismatch === 'DELETE') out = out.map((v) => join(v, { headers: [], add: [], remove: [h.name] }))
      continue
    }
    const matched = { headers: [exactly(h)], add: [], remove: [] }
    const mended = (action: string): Variant => ({
      headers: [],
      add: [{ header: { key: h.name, value: h.value }, append_action: action }],
      remove: [],
    })
    const either =
      h.mismatch === ''
        ? [matched]
        : h.mismatch === 'LOG'
          ? [{ headers: [], add: [], remove: [] }]
          : h.mismatch === 'REPLACE'
            ? [...(h.value === '' ? [matched] : []), mended('OVERWRITE_IF_EXISTS_OR_ADD')]
            : h.mismatch === 'ADD'
              ? [matched, mended('APPEND_IF_EXISTS_OR_ADD')]
              : [matched, { headers: [], add: [], remove: [h.name] }]
    out = out.flatMap((v) => either.map((e) => join(v, e)))
  }
  return out
}
