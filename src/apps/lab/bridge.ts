// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { withLock } from './state.ts'

const run = promisify(execFile)

/** The addresses of one lab: a /24 and a /64 on its bridge. */
export interface LabNetwork {
  readonly bridge: string
  readonly index: number
  /** The bridge's own: the API server listens there. */
  readonly host: Addresses
}

/** IPv4 is absent in a lab of IPv6 only. */
export interface Addresses {
  readonly ipv4?: string
  readonly ipv6: string
}

export const bridgeName = (lab: string): string => `clab-${lab}`
/** The host's end of a node's wire. */
export const portName = (lab: string, node: number): string => `cl${lab}.${node}`

/** The addresses of node 1, 2, … ; 0 is the bridge. */
export const addressesOf = (index: number, node: number, ipv6Only: boolean): Addresses => ({
  ...(ipv6Only ? {} : { ipv4: `172.30.${index}.${node + 1}` }),
  ipv6: `fd00:172:30:${index || ''}${index === 0 ? '' : ':'}:${(node + 1).toString(16)}`,
})

/** Addresses to try, the family of the lab first. */
export const addressList = (addresses: Addresses): readonly string[] => [
  ...(addresses.ipv4 ? [addresses.ipv4] : []),
  addresses.ipv6,
]

/** Makes the lab's bridge with the first /24 and /64 that nobody on this machine uses. */
export const makeBridge = (lab: string, ipv6Only: boolean): Promise<LabNetwork> =>
  withLock('addresses', async () => {
    const index = freeIndex(await usedText())
    const bridge = bridgeName(lab)
    const host = addressesOf(index, 0, ipv6Only)
    await ip([
      `link add ${bridge} type bridge stp_state 0 mcast_snooping 0`,
      ...(host.ipv4 ? [`addr add ${host.ipv4}/24 dev ${bridge}`] : []),
      `addr add ${host.ipv6}/64 dev ${bridge} nodad`,
      `link set ${bridge} up`,
    ])
    return { bridge, index, host }
  })

const usedText = async (): Promise<string> => {
  const outputs = await Promise.all(
    [['addr'], ['-4', 'route', 'show', 'table', 'all'], ['-6', 'route', 'show', 'table', 'all']].map((a) =>
      run('ip', ['-o', ...a]),
    ),
  )
  return outputs.map((o) => o.stdout).join('\n')
}

/** The first index whose networks do not appear in the text of addresses and routes. */
export const freeIndex = (text: string): number => {
  const used = new Set([...text.matchAll(/\b172\.30\.(\d+)\.|\bfd00:172:30:(\d*):/g)].map((m) => Number(m[1] ?? m[2])))
  for (let index = 0; index < 256; index++) if (!used.has(index)) return index
  throw new Error('all networks of 172.30.0.0/16 are in use on this machine')
}

const sysctls = [
  'net.ipv4.ip_forward=1',
  'net.ipv6.conf.all.forwarding=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
  'net.ipv6.conf.all.accept_ra=0',
  'net.ipv6.conf.default.accept_ra=0',
]

/** Joins a node (its init's process id) to the bridge by eth0, with addresses and default routes. */
export const joinBridge = async (
  lab: string,
  network: LabNetwork,
  number: number,
  pid: number,
  ipv6Only: boolean,
): Promise<Addresses> => {
  const port = portName(lab, number)
  const own = addressesOf(network.index, number, ipv6Only)
  const mac = `0a:c1:${hex(network.index)}:00:00:${hex(number)}`
  await ip([
    `link add ${port} type veth peer name eth0 address ${mac} netns ${pid}`,
    `link set ${port} master ${network.bridge} up`,
  ])
  const inside = [
    'link set lo up',
    ...(own.ipv4 ? [`addr add ${own.ipv4}/24 dev eth0`] : []),
    `addr add ${own.ipv6}/64 dev eth0 nodad`,
    'link set eth0 up',
    ...(own.ipv4 ? [`route add default via ${network.host.ipv4}`] : []),
    `route add default via ${network.host.ipv6}`,
  ]
  const script = `sysctl -qw ${sysctls.join(' ')} && ip -batch - <<'E'\n${inside.join('\n')}\nE`
  await run('nsenter', ['-t', String(pid), '-n', 'sh', '-c', script])
  return own
}

const hex = (n: number): string => n.toString(16).padStart(2, '0')

/** Removes bridge and wires of a lab, also those a killed lab left behind. */
export const removeBridge = async (lab: string): Promise<void> => {
  const { stdout } = await run('ip', ['-o', 'link', 'show'])
  const own = [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map((m) => m[1] ?? '')
  const wires = own.filter((n) => n.startsWith(`cl${lab}.`) && /^\d+$/.test(n.slice(lab.length + 3)))
  const gone = [...wires, ...own.filter((n) => n === bridgeName(lab))]
  // A wire goes with its node's namespace too, maybe just now.
  for (const link of gone) await run('ip', ['link', 'del', link]).catch(() => {})
}

const ip = async (lines: readonly string[]): Promise<void> => {
  const child = run('ip', ['-batch', '-'])
  child.child.stdin?.end(`${lines.join('\n')}\n`)
  await child
}
