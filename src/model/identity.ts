// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../base/result.ts'
import { object, textMap } from './json.ts'
import { type LabelSet, labelSetKey, labelsOfSecurityMap } from './labels.ts'
import { parseMeta } from './meta.ts'

/** A security identity: the number packets and maps carry for a set of labels. */
export interface Identity {
  readonly number: number
  readonly labels: LabelSet
}

/** Numbers that mean the same in every cluster. */
export const reserved = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  'remote-node': 6,
  'kube-apiserver': 7,
  ingress: 8,
  'world-ipv4': 9,
  'world-ipv6': 10,
} as const
export type ReservedName = keyof typeof reserved

/** Identities that exist without an object, in number order; `unknown` is not one. */
export const reservedIdentities: readonly Identity[] = Object.entries(reserved)
  .filter(([, n]) => n !== 0)
  .map(([name, number]) => ({
    number,
    labels: name === 'kube-apiserver' ? ['reserved:kube-apiserver', 'reserved:remote-node'] : [`reserved:${name}`],
  }))

const reservedByKey = new Map(reservedIdentities.map((i) => [labelSetKey(i.labels), i.number]))

/** Number of a reserved identity by its labels, 0 for other labels. */
export const reservedNumber = (labels: LabelSet): number =>
  labels[0]?.startsWith('reserved:') ? (reservedByKey.get(labelSetKey(labels)) ?? 0) : 0

export const isReserved = (number: number): boolean => number > 0 && number < 100
/** Numbers that every node of the cluster agrees on, one CiliumIdentity object each. */
export const clusterIdentities = { first: 256, last: 65535 } as const
/** Numbers that only this node knows: prefixes, and addresses by their names. */
export const localIdentities = { first: 0x01000001, last: 0x01ffffff } as const
export const prefixNumbers = { first: localIdentities.first, last: 0x017fffff } as const
export const nameNumbers = { first: 0x01800000, last: localIdentities.last } as const
export const isLocalIdentity = (number: number): boolean =>
  number >= localIdentities.first && number <= localIdentities.last

/** A CiliumIdentity object; its name is the number. */
export interface CiliumIdentity extends Identity {
  readonly name: string
}

export function parseCiliumIdentity(object_: unknown): Result<CiliumIdentity> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const number = Number(meta.value.name)
  if (!/^[1-9][0-9]*$/.test(meta.value.name) || number > 0xffffff)
    return fail({ field: 'metadata.name', message: `'${meta.value.name}' is not an identity number` })
  const labels = labelsOfSecurityMap(textMap(object(object_)['security-labels']))
  if (labels.length === 0) return fail({ field: 'security-labels', message: 'required, and not empty' })
  return ok({ name: meta.value.name, number, labels })
}
