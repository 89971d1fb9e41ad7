// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Addresses, addressesOf, addressList, joinBridge, type LabNetwork } from './bridge.ts'
import { type Cgroups, makeCgroups } from './kubelet/cgroups.ts'
import { type LabNode, openNode } from './kubelet/node.ts'
import type { LabSettings } from './settings.ts'
import { labPaths } from './state.ts'

/** A node with its wire and addresses, before anything runs on it. */
export interface WiredNode {
  readonly node: LabNode
  readonly cgroups: Cgroups
  readonly addresses: Addresses
}

/** `node-1`, `node-2`, … */
export const nodeName = (number: number): string => `node-${number}`

/** Starts one node and joins it to the bridge. It ends with the process that opened it. */
export const openWiredNode = async (
  settings: LabSettings,
  network: LabNetwork,
  number: number,
  root: string,
): Promise<WiredNode> => {
  const name = nodeName(number)
  const paths = labPaths(settings.name)
  const cgroups = makeCgroups(`${paths.cgroup}/${name}`)
  const node = await openNode({
    name,
    program: join(root, 'build/native/lab-node'),
    socket: paths.node(name),
    cgroups: cgroups.all,
    files: { '/etc/hosts': hostsFile(settings, network), '/etc/resolv.conf': readFileSync('/etc/resolv.conf', 'utf8') },
  })
  const addresses = await joinBridge(settings.name, network, number, node.pid, settings.ipv6Only)
  return { node, cgroups, addresses }
}

const hostsFile = (settings: LabSettings, network: LabNetwork): string => {
  const nodes = Array.from({ length: settings.nodes }, (_, i) => i + 1)
  const lines = nodes.flatMap((n) =>
    addressList(addressesOf(network.index, n, settings.ipv6Only)).map((a) => `${a}\t${nodeName(n)}`),
  )
  return ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', ...lines, ''].join('\n')
}
