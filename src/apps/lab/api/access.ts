// SPDX-License-Identifier: Apache-2.0
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Incoming, User } from './message.ts'

/** Who may call, and the tokens of service accounts. Whoever is known may do everything; roles are stored, not asked. */
export interface Access {
  /** The administrator's bearer token. */
  readonly adminToken: string
  /** Undefined when the request carries no valid certificate and no valid token. */
  userOf(incoming: Incoming): User | undefined
  /** The user a bearer token stands for. */
  tokenUser(token: string): User | undefined
  /** A signed token of a service account (a JWT), valid for some seconds from `now` (milliseconds). */
  issue(namespace: string, name: string, seconds: number, now: number): string
}

const admin: User = { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] }
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export function openAccess(now: () => number, issuer: string): Access {
  const adminToken = randomBytes(24).toString('base64url')
  const secret = randomBytes(32)
  const sign = (text: string): Buffer => createHmac('sha256', secret).update(text).digest()

  const tokenUser = (token: string): User | undefined => {
    if (equal(Buffer.from(token), Buffer.from(adminToken))) return admin
    const [head, body, signature] = token.split('.')
    if (!head || !body || !signature) return undefined
    if (!equal(Buffer.from(signature, 'base64url'), sign(`${head}.${body}`))) return undefined
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as { exp: number; sub: string }
    if (claims.exp * 1000 < now()) return undefined
    const namespace = claims.sub.split(':')[2]
    return {
      username: claims.sub,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    }
  }

  return {
    adminToken,
    tokenUser,
    userOf(incoming) {
      const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? '')?.[1]
      if (token !== undefined) return tokenUser(token)
      const socket = ('stream' in incoming ? incoming.stream.session?.socket : incoming.socket) as TLSSocket | undefined
      if (!socket?.authorized) return undefined
      const { CN, O } = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] }
      return CN ? { username: CN, groups: [...[O ?? []].flat(), 'system:authenticated'] } : undefined
    },
    issue(namespace, name, seconds, at) {
      const issued = Math.floor(at / 1000)
      const claims = {
        aud: [issuer],
        iss: issuer,
        iat: issued,
        nbf: issued,
        exp: issued + seconds,
        sub: `system:serviceaccount:${namespace}:${name}`,
        'kubernetes.io': { namespace, serviceaccount: { name } },
      }
      const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
      return `${text}.${sign(text).toString('base64url')}`
    },
  }
}

const equal = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)
