// SPDX-License-Identifier: Apache-2.0
import type { Store } from '../api/store.ts'
import type { Node } from './objects.ts'
import type { Controller } from './queue.ts'

/** A family's prefix of node number n, 0 to 255. */
export type PrefixOf = (n: number) => string

const ALL = 'nodes'
const most = 256

/**
 * Gives each node its own pod prefix of every family (`spec.podCIDRs`), for clusters whose agents take theirs from the
 * Node object. A node keeps what it has; a number is free again once its node is gone.
 */
export const podCidrController = (store: Store, families: readonly PrefixOf[]): Controller => ({
  name: 'podcidrs',
  watches: [{ resource: 'nodes', keys: () => [ALL] }],
  sync: () => {
    const nodes = store.list<Node>('nodes')
    const taken = new Set(nodes.flatMap((n) => n.spec?.podCIDRs ?? []))
    let next = 0
    for (const node of nodes.filter((n) => !n.spec?.podCIDRs?.length)) {
      while (next < most && families.some((f) => taken.has(f(next)))) next++
      if (next === most) throw new Error(`all ${most} pod prefixes are given away`)
      const podCIDRs = families.map((f) => f(next))
      for (const prefix of podCIDRs) taken.add(prefix)
      store.modify<Node>('nodes', '', node.metadata.name, (n) => ({
        ...n,
        spec: { ...n.spec, podCIDR: podCIDRs[0]!, podCIDRs },
      }))
    }
    return undefined
  },
})
