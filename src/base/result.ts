// SPDX-License-Identifier: Apache-2.0

/** Bad input as a value. Effects throw; broken invariants assert; only input gets a Result. */
export type Result<T, E = Problem> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }

/** What is wrong with an input: where (field path), what, and how to mend it. */
export interface Problem {
  /** Path inside the object, as Kubernetes prints it: `spec.ingress[0].toPorts[0].ports[0].port`. */
  readonly field: string
  readonly message: string
  readonly fix?: string
}

export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value })
export const fail = <E>(error: E): Result<never, E> => ({ ok: false, error })

export const problemText = (p: Problem): string =>
  `${p.field ? `${p.field}: ` : ''}${p.message}${p.fix ? ` (${p.fix})` : ''}`
