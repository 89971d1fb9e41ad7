// SPDX-License-Identifier: Apache-2.0
import { problemText } from '../../../base/result.ts'
import { type Cluster, learn, openCluster } from '../../../derive/questions/cluster.ts'
import { readObjects } from '../../../derive/questions/objects.ts'
import { type Manifests, placeText, readManifests, withoutCases } from './manifests.ts'

export interface From {
  /** Files and folders of manifests; without any the live cluster. */
  readonly cluster?: readonly string[]
  /** Questions may name identities by their numbers: of a live cluster these are asked for only then. */
  readonly numbers?: boolean
}

/** The cluster that questions are about, with what else was read from the same place. */
export interface Opened {
  readonly cluster: Cluster
  readonly manifests: Manifests
}

export async function openFrom({ cluster, numbers }: From): Promise<Opened> {
  const manifests = cluster
    ? withoutCases(readManifests(cluster))
    : await (await import('./live.ts')).readLive(numbers ? { numbers } : {})
  const [broken] = manifests.problems
  if (broken) throw new Error(`${placeText(broken)}: ${broken.message}`)
  const objects = readObjects(manifests.found.map((f) => f.object))
  const [problem] = objects.problems
  const at = problem && manifests.found[problem.object]
  if (problem && at) throw new Error(`${placeText(at.place(problem.field))}: ${problemText(problem)}`)
  const opened = openCluster(objects)
  if (manifests.learnt) learn(opened, manifests.learnt)
  return { cluster: opened, manifests }
}
