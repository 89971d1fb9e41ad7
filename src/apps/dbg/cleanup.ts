// SPDX-License-Identifier: Apache-2.0
/** `cilium-dbg post-uninstall-cleanup`: takes from a node what an agent left there on purpose when it ended. */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { namesIn, removeAll } from '../../edge/disk/files.ts'
import { detachAll } from '../../edge/kernel/attachments.ts'
import {
  deleteLink,
  deleteRoute,
  deleteRule,
  isMissing,
  links,
  openNetlink,
  routes,
  rules,
} from '../../edge/kernel/netlink.ts'
import type { Link } from '../../protocol/netlink/link.ts'
import { PROTOCOL } from '../../protocol/netlink/route.ts'
import type { Agent } from './agent.ts'
import { print } from './output.ts'

export interface CleanupOptions {
  readonly allState?: boolean
  readonly bpfState?: boolean
  readonly force?: boolean
  /** Where the node's file system is seen: `/host` in a pod of `kubectl debug node`. */
  readonly root: string
}

const WHAT = {
  bpf: 'attached programs, tc filters and maps (pods that still run lose policy, services and their way out)',
  devices: 'devices, routes and rules (pods that still run lose their network)',
  cni: 'the CNI configuration and plugin',
  state: '/var/run/cilium and /var/lib/cilium',
} as const
type Part = keyof typeof WHAT

/** Removes the parts asked for, all without a choice. Refuses while an agent answers: it would put everything back. */
export async function cleanup(agent: Agent, bpfRoot: string, options: CleanupOptions): Promise<void> {
  if (await answers(agent)) throw new Error('an agent runs on this node: uninstall the chart or remove its pod first')
  const every: readonly Part[] = ['bpf', 'devices', 'cni', 'state']
  const parts: readonly Part[] = options.allState || !options.bpfState ? every : ['bpf']
  print(`To be removed from this node:\n${parts.map((p) => `  ${WHAT[p]}`).join('\n')}`)
  if (!options.force && !(await confirmed())) return print('Nothing was removed.')
  const at = (path: string): string => join(options.root, path)
  if (parts.includes('bpf')) removePrograms(at(bpfRoot), bpfRoot)
  if (parts.includes('devices')) removeDevices()
  if (parts.includes('cni')) removeCni(at('/etc/cni/net.d'), at('/opt/cni/bin'))
  if (parts.includes('state')) removeState([at('/run/cilium'), at('/var/run/cilium'), at('/var/lib/cilium')])
  print('Removed.')
}

const answers = async (agent: Agent): Promise<boolean> =>
  agent.get('/healthz').then(
    () => true,
    () => false,
  )

async function confirmed(): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test((await lines.question('Go on? [y/N] ')).trim())
  } finally {
    lines.close()
  }
}

/** Filters outlive every file system, and carry the name of the place where the agent saw its links. */
function removePrograms(bpffs: string, asAgentsSawIt: string): void {
  const pins = join(bpffs, 'cilium/links')
  detachAll(pins)
  if (bpffs !== asAgentsSawIt) detachAll(join(asAgentsSawIt, 'cilium/links'))
  removeAll(join(bpffs, 'cilium'))
  const maps = join(bpffs, 'tc/globals')
  for (const name of namesIn(maps)) if (name.startsWith('cilium_') || name === 'programs') removeAll(join(maps, name))
}

/** A pod's device says in its alias what it was made for: container and interface, addresses, gateways, two MTUs. */
const isOurs = (link: Link): boolean =>
  /^cilium_(host|net)$/.test(link.name) ||
  (/^lxc/.test(link.name) && /^[0-9a-f]+:\S+( \S*){4} \d+ \d+$/.test(link.alias))

function removeDevices(): void {
  const netlink = openNetlink()
  try {
    for (const link of links(netlink).filter(isOurs))
      try {
        deleteLink(netlink, { index: link.index })
      } catch (e) {
        if (!isMissing(e)) throw e // with one of a pair its other end goes
      }
    for (const rule of rules(netlink).filter((r) => r.protocol === PROTOCOL.OWN)) deleteRule(netlink, rule)
    for (const protocol of [PROTOCOL.OWN, PROTOCOL.OWN_PODS, PROTOCOL.OWN_NODES])
      for (const { prefix, table, type } of routes(netlink, { protocol }))
        deleteRoute(netlink, { prefix, protocol, table, type })
  } finally {
    netlink.close()
  }
}

function removeCni(conf: string, bin: string): void {
  for (const name of ['05-cilium.conflist', '05-cilium.conf']) removeAll(join(conf, name))
  for (const name of namesIn(conf).filter((n) => n.endsWith('.cilium_bak')))
    renameSync(join(conf, name), join(conf, name.slice(0, -'.cilium_bak'.length)))
  removeAll(join(bin, 'cilium-cni'))
}

/**
 * What is mounted there belongs to the node and stays, as Cilium's cgroup mount does. Where the node's file system is seen
 * below another root, its link from /var/run to /run leads out of it, so both are looked at.
 */
function removeState(directories: readonly string[]): void {
  for (const directory of directories)
    for (const name of existsSync(directory) ? readdirSync(directory) : [])
      if (name !== 'cgroupv2') removeAll(join(directory, name))
}
