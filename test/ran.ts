// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; an exit code is an answer, not an error. */
export async function ran(program: string, args: readonly string[], input = '', env = process.env): Promise<Ran> {
  const child = run(program, args, { maxBuffer: 1 << 27, env })
  child.child.stdin?.on('error', () => {})
  child.child.stdin?.end(input)
  try {
    return { code: 0, ...(await child) }
  } catch (e) {
    const { code, stdout, stderr } = e as { code: number | string; stdout: string; stderr: string }
    if (typeof code !== 'number') throw e
    return { code, stdout, stderr }
  }
}
