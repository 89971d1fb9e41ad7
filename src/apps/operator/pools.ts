// SPDX-License-Identifier: Apache-2.0
import { addressAt, contains, type Prefix, parsePrefix, prefixOf, printPrefix } from '../../base/ip.ts'

/** A prefix that is cut into equal pieces, one for each node. */
export interface Pool {
  readonly prefix: Prefix
  /** Bits of a piece, counted in 128 as base/ip does. */
  readonly pieceLength: number
}

/** A pool from text and a mask size as written for its family. */
export function parsePool(cidr: string, maskSize: number): Pool | string {
  const prefix = parsePrefix(cidr)
  if (!prefix) return `${JSON.stringify(cidr)} is not a prefix`
  const pieceLength = cidr.includes(':') ? maskSize : maskSize + 96
  if (pieceLength < prefix.length || pieceLength > 128)
    return `the mask size ${maskSize} does not fit into ${cidr}: it must be longer than the prefix`
  return { prefix, pieceLength }
}

export interface PoolNode {
  readonly name: string
  /** What its CiliumNode says it has. */
  readonly podCIDRs: readonly string[]
  /** Earlier nodes keep what two claim. */
  readonly created: string
}

export interface Allocation {
  readonly podCIDRs: ReadonlyMap<string, readonly string[]>
  /** Nodes that got no piece of some pool, with the reason. */
  readonly problems: ReadonlyMap<string, string>
}

/**
 * Gives each node one piece of one pool of each family. A node keeps a piece it has if the pieces still are such and
 * nobody older claims it; pools are tried in order. Same input, same answer.
 */
export function allocatePodCidrs(families: readonly (readonly Pool[])[], nodes: readonly PoolNode[]): Allocation {
  const ordered = [...nodes].sort((a, b) => compare(a.created, b.created) || compare(a.name, b.name))
  const result = new Map<string, string[]>(ordered.map((n) => [n.name, []]))
  const problems = new Map<string, string>()
  for (const pools of families) {
    if (pools.length === 0) continue
    const taken = new Set<string>()
    const waiting: PoolNode[] = []
    for (const node of ordered) {
      const held = node.podCIDRs.find((cidr) => isPiece(pools, cidr) && !taken.has(cidr))
      if (held === undefined) waiting.push(node)
      else {
        taken.add(held)
        result.get(node.name)?.push(held)
      }
    }
    const free = freePieces(pools, taken)
    for (const node of waiting) {
      const piece = free.next()
      if (piece.done) problems.set(node.name, `no piece left of ${pools.map((p) => printPrefix(p.prefix)).join(', ')}`)
      else result.get(node.name)?.push(piece.value)
    }
  }
  return { podCIDRs: result, problems }
}

function isPiece(pools: readonly Pool[], cidr: string): boolean {
  const prefix = parsePrefix(cidr)
  return prefix !== undefined && pools.some((p) => p.pieceLength === prefix.length && contains(p.prefix, prefix))
}

function* freePieces(pools: readonly Pool[], taken: ReadonlySet<string>): Generator<string, undefined> {
  for (const { prefix, pieceLength } of pools) {
    const count = 1n << BigInt(pieceLength - prefix.length)
    const size = 1n << BigInt(128 - pieceLength)
    for (let i = 0n; i < count; i++) {
      const first = addressAt(prefix, i * size)
      if (!first) break
      const piece = printPrefix(prefixOf(first, pieceLength))
      if (!taken.has(piece)) yield piece
    }
  }
  return undefined
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
