// SPDX-License-Identifier: Apache-2.0
import { hash32 } from '../base/hash.ts'

/** A label with the source that vouches for it. Text form `source:key[=value]`. */
export interface Label {
  readonly source: string
  readonly key: string
  readonly value: string
}

/** Labels in text form, sorted by bytes, without repetition: equal sets are equal texts. */
export type LabelSet = readonly string[]

export const labelText = (l: Label): string => `${l.source}:${l.key}${l.value === '' ? '' : `=${l.value}`}`

export function parseLabel(s: string): Label {
  const eq = s.indexOf('=')
  const colon = s.indexOf(':')
  const hasSource = colon > 0 && (eq < 0 || colon < eq)
  return {
    source: hasSource ? s.slice(0, colon) : 'unspec',
    key: s.slice(hasSource ? colon + 1 : 0, eq < 0 ? undefined : eq),
    value: eq < 0 ? '' : s.slice(eq + 1),
  }
}

export const labelSet = (labels: readonly (Label | string)[]): LabelSet =>
  [...new Set(labels.map((l) => (typeof l === 'string' ? l : labelText(l))))].sort()

/** One text per set, to compare and to key by. `;` ends each label because one text may be the start of another. */
export function labelSetKey(labels: LabelSet): string {
  const known = setKeys.get(labels)
  if (known !== undefined) return known
  const key = labels.map((l) => `${l};`).join('')
  setKeys.set(labels, key)
  return key
}
const setKeys = new WeakMap<LabelSet, string>()

/** Stands for a key where there are tens of thousands; whoever finds a set by it compares the set itself. */
export const labelSetHash = (labels: LabelSet): string => hash32(labels.join(';')).toString(36)

/** Labels seen lately: most labels of an identity are those of many, and one text does for all of them. */
const texts = new Map<string, string>()
const mostTexts = 8192

function shared(label: string): string {
  const known = texts.get(label)
  if (known !== undefined) return known
  if (texts.size >= mostTexts) texts.clear()
  texts.set(label, label)
  return label
}

/** CiliumIdentity's `security-labels`: `source:key` to value. */
export function labelsOfSecurityMap(map: { readonly [key: string]: string }): LabelSet {
  // Joined, and not put together: that would keep both halves beside the whole.
  return labelSet(Object.entries(map).map(([k, v]) => shared(v === '' ? k : [k, v].join('='))))
}
export function securityMapOfLabels(labels: LabelSet): { readonly [key: string]: string } {
  const out: { [key: string]: string } = {}
  for (const s of labels) {
    const l = parseLabel(s)
    out[`${l.source}:${l.key}`] = l.value
  }
  return out
}

export const podNamespaceKey = 'io.kubernetes.pod.namespace'
export const namespaceLabelsKey = 'io.cilium.k8s.namespace.labels'
export const serviceAccountKey = 'io.cilium.k8s.policy.serviceaccount'
export const clusterKey = 'io.cilium.k8s.policy.cluster'

/** Every text (`key=value`, and `key` alone) under which an index may find the set, whatever the labels' sources. */
export function anchorsOf(labels: LabelSet): readonly string[] {
  const out: string[] = []
  for (const text of labels) {
    const { source, key, value } = parseLabel(text)
    const start = text.startsWith(`${source}:`) ? source.length + 1 : 0
    out.push(value === '' ? `${key}=` : text.slice(start), key)
  }
  return out
}
