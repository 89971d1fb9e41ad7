// SPDX-License-Identifier: Apache-2.0
import type { Scope } from '../../../base/scope.ts'
import type { Made } from './container.ts'
import type { LabNode, Program } from './node.ts'

/** A command in a running container, its output (the first 10 KiB) and exit code. Throws when it takes too long. Milliseconds. */
export async function runInside(
  node: LabNode,
  scope: Scope,
  current: { readonly program: Program; readonly made: Made } | undefined,
  command: readonly string[],
  timeout: number,
): Promise<{ code: number; output: string }> {
  if (!current) throw new Error('the container is not running')
  const program = await node.exec({ ...current.made.inside, pid: current.program.pid, arg: command })
  let output = ''
  let late = false
  program.onOutput((_, data) => (output.length < 10_240 ? (output += data) : undefined))
  const cancel = scope.after('exec timeout', timeout, () => {
    late = true
    program.close()
  })
  const { code } = await program.ended
  cancel()
  if (late) throw new Error(`command timed out after ${timeout / 1000}s`)
  return { code, output }
}
