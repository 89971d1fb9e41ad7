// SPDX-License-Identifier: Apache-2.0
import { randomBytes, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { Pod } from './manifest.ts'
import { type LabNode, runToEnd } from './node.ts'

const confDirectory = '/etc/cni/net.d'
const binDirectory = '/opt/cni/bin'

type Plugin = {
  readonly type: string
  readonly capabilities?: Record<string, boolean>
  readonly [key: string]: unknown
}

export interface NetworkConfig {
  readonly name: string
  readonly cniVersion: string
  readonly plugins: readonly Plugin[]
}

/** A pod's namespaces, and its network once CNI ADD has answered. */
export interface Sandbox {
  readonly id: string
  /** As `/run/netns/…` in the node; undefined when the pod uses the node's network. */
  readonly netns: string | undefined
  readonly name: string
  readonly ips: readonly string[]
  readonly config?: NetworkConfig
  readonly result?: unknown
}

/** A plugin's answer that is no success. */
export class CniError extends Error {}

/** The first network configuration by file name; undefined while there is none that can be read. */
export function readNetworkConfig(node: LabNode): NetworkConfig | undefined {
  let files: string[]
  try {
    files = readdirSync(node.path(confDirectory)).filter((name) => /\.(conf|conflist|json)$/.test(name))
  } catch {
    return undefined
  }
  for (const file of files.sort()) {
    try {
      const conf = JSON.parse(readFileSync(node.path(`${confDirectory}/${file}`), 'utf8')) as NetworkConfig & Plugin
      const plugins = Array.isArray(conf.plugins) ? conf.plugins : conf.type ? [conf] : []
      if (plugins.length > 0) return { name: conf.name, cniVersion: conf.cniVersion ?? '0.3.1', plugins }
    } catch {
      // half written, or not ours to judge: the next file, or the next look
    }
  }
  return undefined
}

/** Makes a pod's namespaces and adds them to the network. Leaves nothing behind when it throws. */
export async function addSandbox(
  node: LabNode,
  pod: Pod,
  config: NetworkConfig | undefined,
  hostname: string,
): Promise<Sandbox> {
  const id = randomBytes(32).toString('hex')
  const name = `cni-${randomUUID()}`
  if (pod.spec.hostNetwork) {
    await node.sandbox({ name, hostname: node.name, net: 'node' })
    return { id, name, netns: undefined, ips: [] }
  }
  if (!config) throw new CniError('cni plugin not initialized')
  await node.sandbox({ name, hostname })
  const sandbox: Sandbox = { id, name, netns: `/run/netns/${name}`, ips: [], config }
  try {
    let result: unknown
    for (const plugin of config.plugins) result = await call('ADD', node, pod, sandbox, plugin, result)
    const ips = addressesOf(result)
    if (ips.length === 0) throw new CniError('the CNI plugin gave the pod no address')
    return { ...sandbox, ips, result }
  } catch (error) {
    await removeSandbox(node, pod, sandbox).catch(() => {})
    await node.unsandbox(name).catch(() => {})
    throw error
  }
}

/** CNI DEL by the configuration that ADD used, last plugin first, then the namespaces. Throws when a plugin refuses. */
export async function removeSandbox(node: LabNode, pod: Pod, sandbox: Sandbox): Promise<void> {
  for (const plugin of sandbox.config?.plugins.toReversed() ?? []) {
    await call('DEL', node, pod, sandbox, plugin, sandbox.result)
  }
  await node.unsandbox(sandbox.name)
}

/** Lets go of the namespaces alone, when DEL will never succeed. */
export const dropSandbox = (node: LabNode, sandbox: Sandbox): Promise<void> => node.unsandbox(sandbox.name)

async function call(
  command: 'ADD' | 'DEL',
  node: LabNode,
  pod: Pod,
  sandbox: Sandbox,
  plugin: Plugin,
  prevResult: unknown,
): Promise<unknown> {
  const { capabilities, ...own } = plugin
  const config = {
    ...own,
    name: sandbox.config?.name,
    cniVersion: sandbox.config?.cniVersion,
    ...(prevResult === undefined ? {} : { prevResult }),
    ...(capabilities?.['portMappings'] ? { runtimeConfig: { portMappings: portMappings(pod) } } : {}),
  }
  const { namespace, name, uid } = pod.metadata
  const request = {
    arg: [`${binDirectory}/${plugin.type}`],
    env: [
      `CNI_COMMAND=${command}`,
      `CNI_CONTAINERID=${sandbox.id}`,
      `CNI_NETNS=/var${sandbox.netns}`,
      'CNI_IFNAME=eth0',
      `CNI_ARGS=K8S_POD_INFRA_CONTAINER_ID=${sandbox.id};K8S_POD_UID=${uid};IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`,
      `CNI_PATH=${binDirectory}`,
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ],
  }
  const { code, stdout, stderr } = await runToEnd(node, request, JSON.stringify(config))
  if (code === 0) return stdout.trim() ? parse(plugin, stdout) : prevResult
  const error = quietly(() => JSON.parse(stdout) as { msg?: string; details?: string; code?: number })
  const said = error?.msg ? `${error.msg}${error.details ? `; ${error.details}` : ''}` : `${stdout}${stderr}`.trim()
  throw new CniError(
    `plugin type="${plugin.type}" failed (${command === 'ADD' ? 'add' : 'delete'}): ${said || `exit code ${code}`}`,
  )
}

function parse(plugin: Plugin, stdout: string): unknown {
  const result = quietly(() => JSON.parse(stdout) as unknown)
  if (result === undefined) throw new CniError(`plugin type="${plugin.type}" answered what is not JSON`)
  return result
}

function quietly<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

/** Addresses of a CNI result, without prefix lengths. */
function addressesOf(result: unknown): readonly string[] {
  const ips = (result as { ips?: readonly { address?: string }[] } | undefined)?.ips ?? []
  return ips.flatMap((ip) => (ip.address ? [ip.address.replace(/\/.*/, '')] : []))
}

const portMappings = (pod: Pod) =>
  pod.spec.containers.flatMap((container) =>
    (container.ports ?? []).flatMap((port) =>
      port.hostPort
        ? [
            {
              hostPort: port.hostPort,
              containerPort: port.containerPort,
              protocol: (port.protocol ?? 'TCP').toLowerCase(),
              hostIP: port.hostIP ?? '',
            },
          ]
        : [],
    ),
  )
