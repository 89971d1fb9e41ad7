// SPDX-License-Identifier: Apache-2.0
import { problemText } from '../../../base/result.ts'
import { type Cluster, openCluster } from '../../../derive/questions/cluster.ts'
import { readObjects } from '../../../derive/questions/objects.ts'
import { type Manifests, placeText, readManifests, withoutCases } from './manifests.ts'

export interface From {
  /** Files and folders of manifests; without any the live cluster. */
  readonly cluster?: readonly string[]
}

/** The cluster that questions are about, with what else was read from the same place. */
export interface Opened {
  readonly cluster: Cluster
  readonly manifests: Manifests
}

export async function openFrom({ cluster }: From): Promise<Opened> {
  const manifests = cluster ? withoutCases(readManifests(cluster)) : await (await import('./live.ts')).readLive()
  const [broken] = manifests.problems
  if (broken) throw new Error(`${placeText(broken)}: ${broken.message}`)
  const objects = readObjects(manifests.found.map((f) => f.object))
  const [problem] = objects.problems
  const at = problem && manifests.found[problem.object]
  if (problem && at) throw new Error(`${placeText(at.place(problem.field))}: ${problemText(problem)}`)
  return { cluster: openCluster(objects), manifests }
}
