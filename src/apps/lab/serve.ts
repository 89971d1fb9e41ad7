// SPDX-License-Identifier: Apache-2.0
import { closeSync, writeSync } from 'node:fs'
import type { Progress } from './lab.ts'
import type { LabSettings } from './settings.ts'

/** The descriptor on which a starting lab tells its command line, a JSON line each. */
export const progressDescriptor = 3

/** The detached process of a lab, until SIGTERM. */
export const serve = async (settings: LabSettings): Promise<void> => {
  let open = true
  const tell = (progress: Progress) => {
    if (!open) return
    try {
      writeSync(progressDescriptor, `${JSON.stringify(progress)}\n`)
      if (!('ready' in progress)) return
      closeSync(progressDescriptor)
    } catch {
      // The command line has gone; the lab stays.
    }
    open = false
  }
  process.on('uncaughtException', (error) => {
    console.log(`${new Date().toISOString()} the lab ends: ${error.stack ?? error}`)
    process.exit(1)
  })
  const { startLab } = await import('./lab.ts')
  const lab = await startLab(settings, tell).catch((error: Error) => {
    console.log(error.stack)
    process.exit(1)
  })
  process.once('SIGTERM', () => {
    void lab.close().finally(() => process.exit(0))
  })
}
