// SPDX-License-Identifier: Apache-2.0
import type { Database } from '../../table/database.ts'
import type { Known } from '../policy/asked.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { compile, type Decision } from '../policy/decision.ts'
import { knownFrom } from '../policy/decisions.ts'
import { peerKey } from '../policy/keys.ts'
import { nameIdentities } from '../policy/names.ts'
import { placeIdentities } from '../policy/places.ts'
import type { Program } from '../policy/program.ts'
import { programs, subjectPrograms } from '../policy/programs.ts'
import type { Direction } from '../policy/rule.ts'
import { selections } from '../policy/selections.ts'
import { type Cluster, type Compiled, type Group, nothingCompiled } from './cluster.ts'
import type { Objects } from './objects.ts'

/** What decides for a group in one direction. */
export interface Judge {
  readonly program: Program
  readonly decision: Decision
}

export function judgeOf(cluster: Cluster, group: Group, direction: Direction): Judge | undefined {
  const program = cluster.db.get(subjectPrograms, group.key)?.[direction]
  return program && { program, decision: decisionOf(cluster, program) }
}

/** The decision table of a program, as the agent's own derivation makes it. */
export function decisionOf(cluster: Cluster, program: Program): Decision {
  const compiled = fresh(cluster)
  const known = compiled.decisions.get(program.key)
  if (known) return known
  const { before: from } = compiled
  const made = from?.same(program) ? decisionOf(from.cluster, program) : compile(program, knownOf(cluster))
  compiled.decisions.set(program.key, made)
  return made
}

/** What compiling needs to know of this cluster. */
export function knownOf(cluster: Cluster): Known {
  const compiled = fresh(cluster)
  if (compiled.known) return compiled.known
  const known = knownFrom(cluster.db)
  let everyone: readonly number[] | undefined
  compiled.known = { ...known, all: () => (everyone ??= known.all()) }
  return compiled.known
}

function fresh({ db, compiled }: Cluster): Compiled {
  if (compiled.revision !== db.revision) {
    compiled.revision = db.revision
    compiled.decisions.clear()
    compiled.known = undefined
  }
  return compiled
}

/** Another state of the same cluster, of which nothing changes any more: what means the same is compiled once. */
export function stateOf(cluster: Cluster, db: Database, objects: Objects): Cluster {
  const same = unchanged(cluster, { ...cluster, db })
  return { ...cluster, db, objects, compiled: nothingCompiled({ cluster, same }) }
}

/** Whether a program of both states is compiled to the same: rows that a derivation left alone are the same objects. */
export function unchanged(before: Cluster, after: Cluster): (program: Program) => boolean {
  const prefixes = (c: Cluster): readonly unknown[] => [
    ...c.db.all(cidrIdentities),
    ...c.db.all(nameIdentities),
    ...c.db.all(placeIdentities),
  ]
  const [old, now] = [prefixes(before), prefixes(after)]
  if (old.length !== now.length || now.some((row, i) => row !== old[i])) return () => false
  const others = new Set<string>()
  for (const row of after.db.all(selections)) if (before.db.get(selections, row.key) !== row) others.add(row.key)
  return (program) =>
    before.db.get(programs, program.key) === program &&
    !program.entries.some((e) => e.peers !== 'all' && e.peers.some((p) => others.has(peerKey(p))))
}
