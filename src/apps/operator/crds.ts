// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Kube } from '../../edge/kube/client.ts'
import { CRDS, type KubeObject } from '../../edge/kube/resource.ts'
import { isAlreadyExists, isNotFound } from '../../edge/kube/status.ts'

export const SCHEMA_VERSION_LABEL = 'io.cilium.k8s.crd.schema.version'
/** Of the definitions in crds/; raised with every change of them. */
export const SCHEMA_VERSION = '1.34.3'

/** The CustomResourceDefinitions of a directory of YAML files, labelled with their version. */
export function readCrds(directory: string): readonly KubeObject[] {
  return readdirSync(directory)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .flatMap((name) =>
      parseAllDocuments(readFileSync(join(directory, name), 'utf8')).map((d) => d.toJS() as KubeObject | null),
    )
    .filter((o): o is KubeObject => o?.kind === 'CustomResourceDefinition')
    .map((o) => ({
      ...o,
      metadata: { ...o.metadata, labels: { ...o.metadata.labels, [SCHEMA_VERSION_LABEL]: SCHEMA_VERSION } },
    }))
}

/** Creates what is missing and replaces what is older; a newer one is left alone. Returns what it did, by name. */
export async function registerCrds(kube: Kube, wanted: readonly KubeObject[]): Promise<readonly string[]> {
  const done = await Promise.all(
    wanted.map(async (crd) => {
      const name = crd.metadata.name
      try {
        const there = await kube.get(CRDS, undefined, name)
        const version = there.metadata.labels?.[SCHEMA_VERSION_LABEL]
        // A kind of another project that came from there is not ours to change.
        if (version === undefined && !name.endsWith('.cilium.io')) return ''
        if (compareVersions(version ?? '0', SCHEMA_VERSION) >= 0) return ''
        const { resourceVersion } = there.metadata
        await kube.update(CRDS, {
          ...crd,
          metadata: { ...crd.metadata, ...(resourceVersion ? { resourceVersion } : {}) },
        })
        return `${name} updated`
      } catch (e) {
        if (!isNotFound(e)) throw e
      }
      try {
        await kube.create(CRDS, undefined, crd)
        return `${name} created`
      } catch (e) {
        if (isAlreadyExists(e)) return ''
        throw e
      }
    }),
  )
  return done.filter((text) => text !== '')
}

/** By numbers: 1.9 is older than 1.30. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((v) => v.split('.').map((part) => Number.parseInt(part, 10) || 0)) as [number[], number[]]
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
