// SPDX-License-Identifier: Apache-2.0
import type { Pod } from './manifest.ts'
import { prepareVolume, type ReadyVolume, type VolumeContext, volumesOf } from './volumes.ts'

/** The volumes of one pod, and when what is in them is written again. */
export interface PodVolumes {
  readonly ready: () => ReadonlyMap<string, ReadyVolume>
  /** Makes all of them. Throws with the name of the first that can not be made. */
  readonly prepare: () => void
  /** Labels or annotations of the pod are others. */
  readonly podChanged: () => void
  /** A ConfigMap or Secret of its namespace is another. */
  readonly objectChanged: (kind: 'secret' | 'configMap', name: string) => void
}

type Volume = ReturnType<typeof volumesOf>[number]

export function podVolumes(pod: () => Pod, context: () => VolumeContext): PodVolumes {
  let ready: ReadonlyMap<string, ReadyVolume> = new Map()

  const prepared = (volume: Volume): readonly [string, ReadyVolume] => {
    try {
      return [volume.name, prepareVolume(pod(), volume, context())]
    } catch (error) {
      throw new Error(`MountVolume.SetUp failed for volume "${volume.name}" : ${(error as Error).message}`)
    }
  }

  function refresh(wanted: (volume: Volume) => boolean): void {
    if (ready.size === 0) return
    for (const volume of volumesOf(pod()).filter(wanted)) {
      try {
        prepareVolume(pod(), volume, context())
      } catch {
        // What was mounted stays as it is while its object is gone.
      }
    }
  }

  return {
    ready: () => ready,
    prepare() {
      ready = new Map(volumesOf(pod()).map(prepared))
    },
    podChanged: () => refresh((v) => v.downwardAPI !== undefined || v.projected !== undefined),
    objectChanged: (kind, name) =>
      refresh((volume) =>
        [volume[kind], ...(volume.projected?.sources ?? []).map((s) => s[kind])].some(
          (source) => (source?.name ?? source?.secretName) === name,
        ),
      ),
  }
}
