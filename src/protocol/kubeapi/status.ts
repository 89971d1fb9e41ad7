// SPDX-License-Identifier: Apache-2.0

/** `meta/v1.Status`, the body of every error of a Kubernetes API. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: { readonly resourceVersion?: string }
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: StatusDetails
  readonly code?: number
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

export interface StatusCause {
  readonly reason: string
  readonly message: string
  readonly field?: string
}

/** What a request did wrong, thrown by the store and the codecs, answered as its Status. */
export class StatusError extends Error {
  readonly status: Status
  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message)
    this.name = 'StatusError'
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details ? { details } : {}),
      code,
    }
  }
}

/** True for a StatusError with this reason, e.g. `isReason(error, 'NotFound')`. */
export const isReason = (error: unknown, reason: string): boolean =>
  error instanceof StatusError && error.status.reason === reason

/** Which resource a message speaks of: `name` is `plural.group`, e.g. `deployments.apps`. */
export interface Named {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

const full = (r: Named): string => (r.group ? `${r.plural}.${r.group}` : r.plural)
const details = (r: Named, name: string): StatusDetails => ({
  name,
  ...(r.group ? { group: r.group } : {}),
  kind: r.plural,
})

export const notFound = (r: Named, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${full(r)} "${name}" not found`, details(r, name))

export const alreadyExists = (r: Named, name: string): StatusError =>
  new StatusError(409, 'AlreadyExists', `${full(r)} "${name}" already exists`, details(r, name))

export const conflict = (r: Named, name: string, why = modified): StatusError =>
  new StatusError(409, 'Conflict', `Operation cannot be fulfilled on ${full(r)} "${name}": ${why}`, details(r, name))

const modified = 'the object has been modified; please apply your changes to the latest version and try again'

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message)

export const forbidden = (r: Named, name: string, why: string, causes?: readonly StatusCause[]): StatusError =>
  new StatusError(403, 'Forbidden', `${full(r)} "${name}" is forbidden: ${why}`, {
    ...details(r, name),
    ...(causes ? { causes } : {}),
  })

export const gone = (message: string): StatusError => new StatusError(410, 'Expired', message)

/** One field at fault; `reason` is Kubernetes' FieldValueInvalid, FieldValueRequired and so on. */
export interface FieldProblem {
  readonly field: string
  readonly reason: string
  /** As printed after the field, e.g. `Required value` or `Invalid value: 70000: must be between 1 and 65535, inclusive`. */
  readonly message: string
}

export const required = (field: string, why = ''): FieldProblem => ({
  field,
  reason: 'FieldValueRequired',
  message: `Required value${why && `: ${why}`}`,
})

export const wrongValue = (field: string, value: unknown, why: string): FieldProblem => ({
  field,
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
})

export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldProblem => ({
  field,
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((s) => `"${s}"`).join(', ')}`,
})

export function invalid(r: Named, name: string, problems: readonly FieldProblem[]): StatusError {
  const texts = problems.map((p) => `${p.field}: ${p.message}`)
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  return new StatusError(422, 'Invalid', `${r.kind}${r.group ? `.${r.group}` : ''} "${name}" is invalid: ${text}`, {
    name,
    ...(r.group ? { group: r.group } : {}),
    kind: r.kind,
    causes: problems.map((p) => ({ reason: p.reason, message: p.message, field: p.field })),
  })
}

/** The answer to a completed deletion. */
export const deleted = (r: Named, name: string, uid: string | undefined): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { ...details(r, name), ...(uid ? { uid } : {}) },
})
