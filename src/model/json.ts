// SPDX-License-Identifier: Apache-2.0

/** What JSON.parse gives. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json | undefined
}

const none: JsonObject = Object.freeze({})

/** Lenient access for what the API server has already validated: a value of another type reads as absent. */
export const object = (v: unknown): JsonObject =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as JsonObject) : none
export const list = (v: unknown): readonly Json[] => (Array.isArray(v) ? v : [])
export const text = (v: unknown): string => (typeof v === 'string' ? v : '')
export const number = (v: unknown): number => (typeof v === 'number' && Number.isFinite(v) ? v : 0)
export const flag = (v: unknown): boolean => v === true
export const texts = (v: unknown): readonly string[] => list(v).filter((x): x is string => typeof x === 'string')

/** A map of strings, keys in byte order, so that equal maps print equally. */
export function textMap(v: unknown): { readonly [key: string]: string } {
  const o = object(v)
  const out: { [key: string]: string } = {}
  for (const k of Object.keys(o).sort()) if (typeof o[k] === 'string') out[k] = o[k]
  return out
}
