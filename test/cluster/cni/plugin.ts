// SPDX-License-Identifier: Apache-2.0
/** Calls the CNI plugin of a lab's node as `cnitool` does: network configuration from disk, one plugin after the other. */
import type { Lab } from '../../lab.ts'
import { type Ran, ran } from '../../ran.ts'

export interface CniAnswer {
  readonly code?: number
  readonly msg?: string
  readonly details?: string
  readonly cniVersion?: string
  readonly ips?: readonly { readonly address: string; readonly gateway: string }[]
  readonly interfaces?: readonly { readonly name: string; readonly mac: string; readonly sandbox?: string }[]
}

/** Where a node keeps configuration and plugins, as `cilium-lab cni` prints it: `NETCONFPATH=… CNI_PATH=…`. */
export async function places(
  lab: Lab,
  node: string,
): Promise<{ readonly NETCONFPATH: string; readonly CNI_PATH: string }> {
  const { stdout } = await ran('bin/cilium-lab', ['cni', node, '--name', lab.name])
  const { NETCONFPATH = '', CNI_PATH = '' } = Object.fromEntries(
    stdout
      .trim()
      .split(' ')
      .map((pair) => pair.split('=')),
  ) as { readonly [name: string]: string }
  return { NETCONFPATH, CNI_PATH }
}

interface Config {
  readonly name: string
  readonly type: string
  readonly [key: string]: unknown
}

export class Plugin {
  readonly #lab: Lab
  readonly node: string
  readonly #path: string
  readonly #config: Config
  private constructor(lab: Lab, node: string, path: string, config: Config) {
    this.#lab = lab
    this.node = node
    this.#path = path
    this.#config = config
  }

  /** Reads the node's configuration; of a list its one plugin, in the newest version both sides know. */
  static async of(lab: Lab, node: string): Promise<Plugin> {
    const { NETCONFPATH, CNI_PATH } = await places(lab, node)
    const found = await inside(lab, node, ['sh', '-c', `cat ${NETCONFPATH}/*.conflist`])
    const list = JSON.parse(found.stdout) as { name: string; plugins: readonly { type: string }[] }
    const [plugin, ...more] = list.plugins
    if (!plugin || more.length > 0) throw new Error(`one plugin expected in ${found.stdout}`)
    return new Plugin(lab, node, CNI_PATH, { ...plugin, name: list.name, cniVersion: '1.1.0' })
  }

  /** A command for a container; the answer is `{}` where the plugin prints nothing. */
  async call(
    command: string,
    container: string,
    args = '',
    config: object = {},
    netns = `/var/run/netns/${container}`,
  ): Promise<CniAnswer> {
    const of = command === 'STATUS' || command === 'GC' ? [] : [`CNI_CONTAINERID=${container}`, 'CNI_IFNAME=eth0']
    const variables = [
      `CNI_COMMAND=${command}`,
      `CNI_PATH=${this.#path}`,
      `CNI_NETNS=${netns}`,
      `CNI_ARGS=${args}`,
      ...of,
    ]
    const answer = await inside(
      this.#lab,
      this.node,
      ['env', '-i', ...variables, `${this.#path}/${this.#config.type}`],
      JSON.stringify({ ...this.#config, ...config }),
    )
    if (answer.code !== 0 && answer.stdout === '') throw new Error(`${command}: ${answer.stderr}`)
    return answer.stdout.trim() === '' ? {} : (JSON.parse(answer.stdout) as CniAnswer)
  }
}

/** A host program inside a node. */
export async function inside(lab: Lab, node: string, command: readonly string[], input = ''): Promise<Ran> {
  const [program = '', ...args] = await lab.within(node)
  return ran(program, [...args, ...command], input)
}

/** The same for what must succeed; answers its output. */
export async function must(lab: Lab, node: string, command: readonly string[]): Promise<string> {
  const r = await inside(lab, node, command)
  if (r.code !== 0) throw new Error(`${command.join(' ')}: ${r.stdout}${r.stderr}`)
  return r.stdout
}
