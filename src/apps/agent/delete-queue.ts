// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path'
import { namesIn, readIfThere, removeAll } from '../../edge/disk/files.ts'
import type { Cni } from './cni.ts'
import type { Log } from './log.ts'

/** Does what the plugin was asked while no agent answered. A file that says nothing sensible is told and dropped. */
export async function drainQueue(dir: string, cni: Cni, log: Log): Promise<void> {
  await Promise.all(
    namesIn(dir)
      .filter((name) => name.endsWith('.delete'))
      .map(async (name) => {
        const path = join(dir, name)
        try {
          const answer = await cni.handle(JSON.parse(readIfThere(path) ?? ''))
          if (answer) log('warning', `queued deletion ${name} failed`, answer)
        } catch (e) {
          log('warning', `queued deletion ${name} is dropped: ${(e as Error).message}`)
        }
        removeAll(path)
      }),
  )
}
