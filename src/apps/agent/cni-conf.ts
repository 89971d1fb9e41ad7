// SPDX-License-Identifier: Apache-2.0
import { renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { namesIn, readIfThere, writeWhole } from '../../edge/disk/files.ts'
import type { OptionValues } from '../../model/options.ts'
import type { Log } from './log.ts'

/** Tells the runtime that pods can be started: writes the CNI configuration, last of all. */
export function writeCniConf(path: string, options: OptionValues, log: Log): void {
  const given = options['read-cni-conf'] as string
  const own = {
    // Runtimes refuse a version they do not know; those of 1.1 and later pick the best of the list.
    cniVersion: '0.3.1',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'cilium',
    plugins: [
      {
        type: 'cilium-cni',
        'socket-path': options['socket-path'],
        'log-file': options['cni-log-file'],
        'delete-queue': `${options['state-dir']}/deleteQueue`,
      },
    ],
  }
  const text = given === '' ? `${JSON.stringify(own, undefined, 2)}\n` : readIfThere(given)
  if (text === undefined) {
    log('error', `the CNI configuration ${given} is not there`)
    return
  }
  if (readIfThere(path) !== text) writeWhole(path, text, 0o644)
  if (options['cni-exclusive'] !== true) return
  const dir = dirname(path)
  for (const name of namesIn(dir)) {
    if (name === basename(path) || !/\.(conf|conflist|json)$/.test(name)) continue
    renameSync(join(dir, name), join(dir, `${name}.cilium_bak`))
    log('info', `CNI configuration ${name} put aside`)
  }
}
