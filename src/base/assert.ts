// SPDX-License-Identifier: Apache-2.0

/** A broken invariant of the program itself: never caught, the process ends and starts anew. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** States what must be true. The message may be a function when making it costs something. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof message === 'string' ? message : message())
}

/** The value, which can not be absent here; `what` names it in the error. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantError(`${what} is absent`)
  return value
}

/** The end of an exhaustive `switch`: the compiler rejects the call while a case is missing. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}
