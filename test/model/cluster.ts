// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check'
import type { Database, Transaction } from '../../src/table/database.ts'
import { allocate, deriveAll, deriveEach, type Table, table } from '../../src/table/definition.ts'

/** A small world with every kind of table: enough look-ups and sharing to go wrong in. */
export interface Pod {
  readonly name: string
  readonly node: string
  readonly app: string
}
export interface Node {
  readonly name: string
  readonly zone: string
}
export interface Policy {
  readonly name: string
  readonly to: string
  readonly from: string
}
export interface App {
  readonly app: string
}
export interface Numbered {
  readonly app: string
  readonly number: number
}
/** A pod where it is, with the number its packets carry. */
export interface Owner {
  readonly pod: string
  readonly zone: string
  readonly number: number
}
/** What one number may reach. */
export interface Allowed {
  readonly key: string
  readonly to: number
  readonly from: number
}

const byName = { key: (row: { readonly name: string }) => row.name }

export const pods = table<Pod>('pods', { ...byName, indexes: { app: ({ app }) => [app], node: ({ node }) => [node] } })
export const nodes = table<Node>('nodes', byName)
export const policies = table<Policy>('policies', { ...byName, indexes: { app: ({ to, from }) => [to, from] } })

export const apps: Table<App> = deriveAll('apps', [pods], { key: (row: App) => row.app }, (read) =>
  [...new Set(read.all(pods).map(({ app }) => app))].map((app) => ({ app })),
)

export const numbers: Table<Numbered> = allocate(
  'numbers',
  apps,
  { key: (row: Numbered) => row.app },
  (wanted, held: readonly Numbered[]) => {
    const before = new Map(held.map((row) => [row.app, row]))
    const used = new Set(held.map(({ number }) => number))
    return wanted.map(({ app }) => {
      const kept = before.get(app)
      if (kept) return kept
      let number = 1
      while (used.has(number)) number++
      used.add(number)
      return { app, number }
    })
  },
)

/** The numbers as a place outside holds them: under the number, so that a new one never overwrites one in use. */
export const known: Table<Numbered> = deriveEach(
  'known',
  numbers,
  { key: (row: Numbered) => `${row.number}` },
  (row) => [row],
)

export const owners: Table<Owner> = deriveEach('owners', pods, { key: (row: Owner) => row.pod }, (pod, read) => {
  const node = read.get(nodes, pod.node)
  const number = read.get(numbers, pod.app)
  return node && number ? [{ pod: pod.name, zone: node.zone, number: number.number }] : []
})

export const allowed: Table<Allowed> = deriveEach(
  'allowed',
  numbers,
  { key: (row: Allowed) => row.key, indexes: { to: ({ to }: Allowed) => [String(to)] } },
  ({ app, number }, read) => {
    const from = new Map<string, Allowed>()
    for (const policy of read.by(policies, 'app', app)) {
      const peer = policy.to === app ? read.get(numbers, policy.from) : undefined
      if (peer) from.set(peer.app, { key: `${app}<-${peer.app}`, to: number, from: peer.number })
    }
    return [...from.values()]
  },
)

/** How many pods a zone has: reads an index of a derived table's inputs and all nodes. */
export interface Zone {
  readonly zone: string
  readonly pods: number
}
export const zones: Table<Zone> = deriveAll('zones', [pods, nodes], { key: (row: Zone) => row.zone }, (read) => {
  const count = new Map<string, number>()
  for (const { name, zone } of read.all(nodes)) {
    count.set(zone, (count.get(zone) ?? 0) + read.by(pods, 'node', name).length)
  }
  return [...count].map(([zone, pods]) => ({ zone, pods }))
})

/** Nodes with all policies there are: a row that reads a whole table. */
export interface Told {
  readonly node: string
  readonly policies: string
}
export const told: Table<Told> = deriveEach('told', nodes, { key: (row: Told) => row.node }, ({ name }, read) => [
  {
    node: name,
    policies: read
      .all(policies)
      .map(({ name }) => name)
      .join(' '),
  },
])

export const sources = [pods, nodes, policies] as const
export const tables = [told, zones, allowed, owners, known, numbers, apps, ...sources]

/** One event of an outside source. */
export type Event =
  | { readonly kind: 'put'; readonly table: (typeof sources)[number]; readonly row: Pod | Node | Policy }
  | { readonly kind: 'remove'; readonly table: (typeof sources)[number]; readonly key: string }

const name = (prefix: string, count: number) => fc.integer({ min: 1, max: count }).map((n) => `${prefix}${n}`)
const pod = fc.record({ name: name('pod', 6), node: name('node', 3), app: name('app', 3) })
const node = fc.record({ name: name('node', 3), zone: name('zone', 2) })
const policy = fc.record({ name: name('policy', 4), to: name('app', 3), from: name('app', 3) })

export const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: pod.map((row): Event => ({ kind: 'put', table: pods, row })) },
  { weight: 2, arbitrary: node.map((row): Event => ({ kind: 'put', table: nodes, row })) },
  { weight: 2, arbitrary: policy.map((row): Event => ({ kind: 'put', table: policies, row })) },
  { weight: 2, arbitrary: name('pod', 6).map((key): Event => ({ kind: 'remove', table: pods, key })) },
  { weight: 1, arbitrary: name('node', 3).map((key): Event => ({ kind: 'remove', table: nodes, key })) },
  { weight: 1, arbitrary: name('policy', 4).map((key): Event => ({ kind: 'remove', table: policies, key })) },
)

/** Events in the commits in which they arrive. */
export const history = fc.array(fc.array(event, { minLength: 1, maxLength: 4 }), { maxLength: 12 })

export function apply(db: Database, events: readonly Event[]): void {
  db.commit((tx) => {
    for (const happened of events) applyTo(tx, happened)
  })
}

function applyTo(tx: Transaction, happened: Event): void {
  if (happened.kind === 'put') tx.put(happened.table as Table<unknown>, happened.row)
  else tx.remove(happened.table, happened.key)
}

export const sayAll = (db: Database): void => {
  db.commit((tx) => {
    for (const source of sources) tx.initialised(source)
  })
}

/** The derived tables by the plainest means: loops over arrays, given the numbers. The second implementation. */
export function expected(db: Database) {
  const numberOf = (app: string) => db.all(numbers).find((row) => row.app === app)?.number
  const appsNow = new Set(db.all(pods).map(({ app }) => app))
  const sorted = <Row>(rows: readonly Row[], key: (row: Row) => string) =>
    [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const ownerRows = db.all(pods).flatMap((pod): Owner[] => {
    const zone = db.all(nodes).find(({ name }) => name === pod.node)?.zone
    const number = numberOf(pod.app)
    return zone !== undefined && number !== undefined ? [{ pod: pod.name, zone, number }] : []
  })
  const allowedRows = new Map<string, Allowed>()
  for (const { to, from } of db.all(policies)) {
    const [a, b] = [numberOf(to), numberOf(from)]
    if (a !== undefined && b !== undefined) allowedRows.set(`${to}<-${from}`, { key: `${to}<-${from}`, to: a, from: b })
  }
  const zoneRows = [...new Set(db.all(nodes).map(({ zone }) => zone))].map((zone) => ({
    zone,
    pods: db.all(pods).filter((pod) => db.all(nodes).some((node) => node.name === pod.node && node.zone === zone))
      .length,
  }))
  return {
    apps: sorted(
      [...appsNow].map((app) => ({ app })),
      ({ app }) => app,
    ),
    owners: ownerRows,
    allowed: sorted([...allowedRows.values()], ({ key }) => key),
    zones: sorted(zoneRows, ({ zone }) => zone),
    told: sorted(db.all(nodes), byName.key).map(({ name }) => ({
      node: name,
      policies: sorted(db.all(policies), byName.key).map(byName.key).join(' '),
    })),
  }
}

export const derivedNow = (db: Pick<Database, 'all'>) => ({
  apps: db.all(apps),
  owners: db.all(owners),
  allowed: db.all(allowed),
  zones: db.all(zones),
  told: db.all(told),
})
