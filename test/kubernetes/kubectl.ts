// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path'
import { type Ran, ran } from '../ran.ts'
import { kubeconfig, root } from './places.ts'
import { output } from './run.ts'

let path = ''
const program = async (): Promise<string> => (path ||= (await output(join(root, 'tools/kubectl.sh'), ['34'])).trim())

/** kubectl on the test cluster; an exit code is an answer. */
export const tryKubectl = async (args: readonly string[], input = ''): Promise<Ran> =>
  ran(await program(), ['--kubeconfig', kubeconfig, ...args], input)

/** Output of kubectl; throws with its error. */
export const kubectl = async (args: readonly string[], input = ''): Promise<string> =>
  output(await program(), ['--kubeconfig', kubeconfig, ...args], input)

export const json = async <T>(args: readonly string[]): Promise<T> =>
  JSON.parse(await kubectl([...args, '-o', 'json'])) as T
export const items = async <T>(args: readonly string[]): Promise<readonly T[]> =>
  (await json<{ items: readonly T[] }>(args)).items
