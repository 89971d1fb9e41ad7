// SPDX-License-Identifier: Apache-2.0
import { type Address, isIpv4, isIpv4Prefix, type Prefix } from './ip.ts'

/** Values by prefix, found by longest match, as the kernel's LPM trie finds them. */
export interface Lpm<Value> {
  set(prefix: Prefix, value: Value): void
  /** True if the prefix was there. */
  remove(prefix: Prefix): boolean
  /** The value of exactly this prefix. */
  get(prefix: Prefix): Value | undefined
  /** The value of the longest prefix that holds the address; families do not mix. */
  match(address: Address): Value | undefined
  readonly size: number
}

const ROOT_V6 = 0
const ROOT_V4 = 1
const IPV4_BITS = 96

/**
 * A binary trie in one typed array: two children a node, 0 for none (no node has a root as its child). IPv4 has its own
 * root, so its look-up takes 32 steps at most.
 */
export function openLpm<Value>(): Lpm<Value> {
  let children = new Int32Array(128)
  const values: (Value | undefined)[] = [undefined, undefined]
  const free: number[] = []
  let nodes = 2
  let size = 0

  function allocateNode(): number {
    const reused = free.pop()
    if (reused !== undefined) return reused
    if (nodes * 2 >= children.length) {
      const grown = new Int32Array(children.length * 2)
      grown.set(children)
      children = grown
    }
    values.push(undefined)
    return nodes++
  }

  const start = (prefix: Prefix) => (isIpv4Prefix(prefix) ? IPV4_BITS : 0)

  /** Index of the child slot of each step from the root to the prefix; undefined where the path ends early. */
  function path(prefix: Prefix): number[] | undefined {
    const from = start(prefix)
    const slots: number[] = []
    let node = from === 0 ? ROOT_V6 : ROOT_V4
    for (let bit = from; bit < prefix.length; bit++) {
      const slot = node * 2 + bitOf(prefix.address, bit)
      slots.push(slot)
      node = children[slot] as number
      if (node === 0) return undefined
    }
    return slots
  }

  const nodeAt = (prefix: Prefix, slots: readonly number[]): number => {
    const last = slots.at(-1)
    return last === undefined ? (start(prefix) === 0 ? ROOT_V6 : ROOT_V4) : (children[last] as number)
  }

  return {
    get size() {
      return size
    },
    set(prefix, value) {
      const from = start(prefix)
      let node = from === 0 ? ROOT_V6 : ROOT_V4
      for (let bit = from; bit < prefix.length; bit++) {
        const slot = node * 2 + bitOf(prefix.address, bit)
        let next = children[slot] as number
        if (next === 0) {
          next = allocateNode()
          children[slot] = next
        }
        node = next
      }
      if (values[node] === undefined) size++
      values[node] = value
    },
    remove(prefix) {
      const slots = path(prefix)
      if (!slots) return false
      let node = nodeAt(prefix, slots)
      if (values[node] === undefined) return false
      values[node] = undefined
      size--
      for (let i = slots.length - 1; i >= 0; i--) {
        if (values[node] !== undefined || children[node * 2] !== 0 || children[node * 2 + 1] !== 0) break
        const slot = slots[i] as number
        children[slot] = 0
        free.push(node)
        node = slot >> 1
      }
      return true
    },
    get(prefix) {
      const slots = path(prefix)
      return slots && values[nodeAt(prefix, slots)]
    },
    match(address) {
      const ipv4 = isIpv4(address)
      let node = ipv4 ? ROOT_V4 : ROOT_V6
      let best = values[node]
      for (let bit = ipv4 ? IPV4_BITS : 0; bit < 128; bit++) {
        node = children[node * 2 + bitOf(address, bit)] as number
        if (node === 0) break
        const value = values[node]
        if (value !== undefined) best = value
      }
      return best
    },
  }
}

const bitOf = (address: Address, bit: number): number => ((address[bit >> 3] as number) >> (7 - (bit & 7))) & 1
