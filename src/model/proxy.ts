// SPDX-License-Identifier: Apache-2.0
import type { DnsRule } from './names.ts'

/** A request header that a rule asks for; on mismatch the request is refused, or this is done to it and it passes. */
export interface HeaderMatch {
  readonly name: string
  /** '' asks for the header, whatever its value. */
  readonly value: string
  readonly mismatch: '' | 'LOG' | 'ADD' | 'DELETE' | 'REPLACE'
  /** Where the value is to be found; `value` counts where it is not. */
  readonly secret?: SecretRef
}

/** A Secret of Kubernetes, as a policy names it. */
export interface SecretRef {
  readonly namespace: string
  readonly name: string
}

/** What one side of TLS shows and whom it believes: keys of a secret; '' is the usual one, if it is there. */
export interface TlsContext {
  readonly secret: SecretRef
  /** Usually `ca.crt`. */
  readonly trustedCA: string
  /** Usually `tls.crt`. */
  readonly certificate: string
  /** Usually `tls.key`. */
  readonly privateKey: string
}

/** What a rule says of TLS. */
export interface TlsRule {
  /** Names that clients may ask for, in small letters; `*.` one more label, `**.` one or more. Empty: asks for nothing. */
  readonly serverNames: readonly string[]
  /** TLS of the client ends here, so that HTTP rules can be asked. */
  readonly terminating?: TlsContext
  /** To the server goes TLS. */
  readonly originating?: TlsContext
}

/** One HTTP rule: all of it must hold. Texts are regular expressions for the whole value; '' asks for nothing. */
export interface HttpRule {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: readonly HeaderMatch[]
}

/** What a rule asks beyond ports, of one protocol: one of its rules suffices. Without any, and without TLS, all pass. */
export type Layer7 =
  /** With `tls` and no HTTP rule it is enough to speak TLS to one of its names. */
  | { readonly kind: 'http'; readonly http: readonly HttpRule[]; readonly tls?: TlsRule }
  | { readonly kind: 'dns'; readonly dns: readonly DnsRule[] }

/** Stands in the place of a rule where something passes only because a policy is audited. */
export const AUDITED = 'audited'

/** A listener of the DNS proxy: who comes here may ask for the names that any of the rules means. */
export interface DnsListenerRow {
  readonly name: string
  readonly port: number
  /** Each with the key of the policy's rule. */
  readonly rules: readonly { readonly rule: string; readonly dns: readonly DnsRule[] }[]
  /** What those get who ask for another name. */
  readonly refuse: 'refused' | 'nameError'
}

/** A resource of Envoy, as its documentation writes it, with `@type` in the body. */
export interface EnvoyResource {
  /** Full name of the message: `envoy.config.listener.v3.Listener`. */
  readonly type: string
  readonly name: string
  readonly body: { readonly [name: string]: unknown }
}

/** Resources that are of use together only: done once Envoy has acknowledged them all. */
export interface EnvoyRow {
  readonly key: string
  readonly resources: readonly EnvoyResource[]
  /** Why some of it is left out, and closed: secrets that are not there. */
  readonly missing?: string
}

/** A value that Envoy is told while it runs: percent of the requests that pass of which it tells. */
export const requestsToldKey = 'cilium.requests_told'

/** Roles in the marks of Envoy's sockets, `enum proxy_mark` of bpf/contract; above 16 bits is a listener's port. */
export const proxyRole = {
  upstreamBoth: 0x800,
  upstreamIngress: 0xa00,
  upstreamEgress: 0xb00,
  downstreamIngress: 0xc00,
  downstreamEgress: 0xd00,
} as const

/** cilium_proxy_pairs: which listener asks the rules of both ends. */
export interface ProxyPairRow {
  readonly egress: number
  readonly ingress: number
  readonly port: number
}
