// SPDX-License-Identifier: Apache-2.0
import type { HttpRule, Layer7, TlsContext, TlsRule } from '../../model/proxy.ts'
import { everyRequest, parseSecretRef } from './http.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning } from './read.ts'

const serverName = /^(\*{1,2}\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$/

/**
 * What a toPorts element of a policy in `namespace` asks of TLS; undefined when it is nothing. `http`: it asks for
 * something of requests too.
 */
export function parseTls(at: Field, namespace: string, http: boolean): TlsRule | undefined {
  const list = child(at, 'serverNames')
  const serverNames = elements(list).map(parseServerName)
  const [terminating, originating] = ['terminatingTLS', 'originatingTLS'].map((name) =>
    parseContext(child(at, name), namespace),
  )
  if (!isAbsent(list) && serverNames.length === 0) problem(list, 'is empty', 'name a server, or leave it out')
  if (serverNames.length === 0 && !terminating && !originating) return undefined
  if (serverNames.length > 0 && http && !terminating)
    problem(list, 'serverNames can not go with L7 rules unless TLS ends here', 'add terminatingTLS')
  return {
    serverNames: [...new Set(serverNames)].sort(),
    ...(terminating ? { terminating } : {}),
    ...(originating ? { originating } : {}),
  }
}

/** Where TLS ends or begins here requests are understood, and without rules for them all pass. */
export function httpWith(http: readonly HttpRule[] | undefined, tls: TlsRule | undefined): Layer7 {
  const spoken = http ?? (tls?.terminating || tls?.originating ? [everyRequest] : [])
  return { kind: 'http', http: spoken, ...(tls ? { tls } : {}) }
}

function parseServerName(at: Field): string {
  const name = textOf(at).toLowerCase()
  if (!serverName.test(name) && name !== '*' && name !== '**')
    problem(at, `'${name}' is not the name of a server`, 'as in example.com, *.example.com or **.example.com')
  return name
}

function parseContext(at: Field, namespace: string): TlsContext | undefined {
  if (isAbsent(at)) return undefined
  fields(at, ['secret', 'trustedCA', 'certificate', 'privateKey'])
  return {
    secret: parseSecretRef(child(at, 'secret'), namespace),
    trustedCA: textOf(child(at, 'trustedCA')),
    certificate: textOf(child(at, 'certificate')),
    privateKey: textOf(child(at, 'privateKey')),
  }
}

const kinds = ['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig']

/** A listener of a CiliumEnvoyConfig: read, so that mistakes are told, and not followed. */
export function parseListener(at: Field): void {
  if (isAbsent(at)) return
  fields(at, ['envoyConfig', 'name', 'priority'])
  const config = child(at, 'envoyConfig')
  fields(config, ['kind', 'name'])
  const kind = textOf(child(config, 'kind'))
  if (kind !== '' && !kinds.includes(kind))
    problem(child(config, 'kind'), `'${kind}' is not a kind`, `one of: ${kinds.join(', ')}`)
  for (const f of [child(config, 'name'), child(at, 'name')]) if (textOf(f) === '') problem(f, 'required')
  const priority = child(at, 'priority').value
  if (priority !== undefined && !(Number.isInteger(priority) && Number(priority) >= 1 && Number(priority) <= 100))
    problem(child(at, 'priority'), 'is not a number from 1 to 100')
  warning(at, 'listeners of CiliumEnvoyConfig objects are not followed: fails closed')
}
