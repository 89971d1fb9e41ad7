// SPDX-License-Identifier: Apache-2.0

/** An answer of the API server that is not 2xx, as its `Status` object says it. */
export class KubeError extends Error {
  readonly code: number
  /** `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, …; empty when the body was no Status. */
  readonly reason: string
  /** Seconds the server asks us to wait, from `details.retryAfterSeconds` or the header. */
  readonly retryAfterSeconds: number
  constructor(code: number, reason: string, message: string, retryAfterSeconds = 0) {
    super(message)
    this.name = 'KubeError'
    this.code = code
    this.reason = reason
    this.retryAfterSeconds = retryAfterSeconds
  }
}

interface StatusLike {
  readonly kind?: unknown
  readonly code?: unknown
  readonly reason?: unknown
  readonly message?: unknown
  readonly details?: { readonly retryAfterSeconds?: unknown }
}

/** The error of a response, or of the object of a watch's ERROR event. `what` names the request in the text. */
export function errorOf(httpCode: number, body: unknown, what: string, retryAfterHeader = 0): KubeError {
  const status = (typeof body === 'object' && body !== null ? body : {}) as StatusLike
  if (status.kind !== 'Status') {
    const text = typeof body === 'string' ? body.slice(0, 200).trim() : ''
    return new KubeError(httpCode, '', `${what}: HTTP ${httpCode}${text ? `: ${text}` : ''}`, retryAfterHeader)
  }
  const code = typeof status.code === 'number' ? status.code : httpCode
  const wait =
    typeof status.details?.retryAfterSeconds === 'number' ? status.details.retryAfterSeconds : retryAfterHeader
  return new KubeError(code, String(status.reason ?? ''), String(status.message ?? `${what}: HTTP ${code}`), wait)
}

export const isForbidden = (e: unknown): boolean => e instanceof KubeError && e.code === 403
export const isNotFound = (e: unknown): boolean => e instanceof KubeError && e.code === 404
export const isAlreadyExists = (e: unknown): boolean =>
  e instanceof KubeError && e.code === 409 && e.reason === 'AlreadyExists'
export const isConflict = (e: unknown): boolean =>
  e instanceof KubeError && e.code === 409 && e.reason !== 'AlreadyExists'
/** The history asked for is gone; only a new list helps (HTTP 410, or reason Expired in an event). */
export const isExpired = (e: unknown): boolean =>
  e instanceof KubeError && (e.code === 410 || e.reason === 'Expired' || e.reason === 'Gone')
