// SPDX-License-Identifier: Apache-2.0
import { closeSync, existsSync, openSync } from 'node:fs'
import { endpoints } from '../../derive/endpoints/tables.ts'
import { hurry } from '../../edge/kernel/grace.ts'
import { inNamespace, writeSysctl } from '../../edge/kernel/namespace.ts'
import {
  changeLink,
  createLink,
  deleteAside,
  deleteLink,
  isMissing,
  linkByName,
  links,
  type Netlink,
  openNetlink,
  putAddress,
  putNeighbour,
  putRoute,
} from '../../edge/kernel/netlink.ts'
import { interfaceIndex, isUp } from '../../edge/kernel/syscall.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { type Endpoint, gatewayMac, podMac } from '../../model/endpoint.ts'
import { devices } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { deriveEach } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { nodeFacts } from './node-facts.ts'

/** The pair of devices of one endpoint, as it shall be. */
export interface PodDevice {
  readonly link: string
  readonly attachment: string
  readonly ifname: string
  readonly netns: string
  readonly ipv4: string
  readonly ipv6: string
  readonly gateway4: string
  readonly gateway6: string
  readonly mtu: number
  readonly routeMtu: number
}

export const podDevices = deriveEach<Endpoint, PodDevice>(
  'podDevices',
  endpoints,
  {
    key: (d) => d.link,
    columns: [
      ['LINK', (d) => d.link],
      ['ADDRESSES', (d) => [d.ipv4, d.ipv6].filter((a) => a !== '').join(',')],
      ['NETNS', (d) => d.netns],
    ],
  },
  (e, read) => {
    const facts = read.get(nodeFacts, 'node')
    if (!facts || e.problem !== '' || (e.ipv4 === '' && e.ipv6 === '')) return []
    return [
      {
        link: e.link,
        attachment: e.attachment,
        ifname: e.ifname,
        netns: e.netns,
        ipv4: e.ipv4,
        ipv6: e.ipv6,
        gateway4: facts.gateway4,
        gateway6: facts.gateway6,
        mtu: facts.wireMtu,
        routeMtu: facts.podMtu,
      },
    ]
  },
)

/** The device itself remembers what it was made for: its alias is the row, so a restart reads it back. */
const aliasOf = (d: PodDevice): string =>
  [d.attachment, d.ipv4, d.ipv6, d.gateway4, d.gateway6, d.mtu, d.routeMtu].join(' ')

function ofAlias(link: string, alias: string): PodDevice {
  const [attachment = '', ipv4 = '', ipv6 = '', gateway4 = '', gateway6 = '', mtu, routeMtu] = alias.split(' ')
  const ifname = attachment.slice(attachment.lastIndexOf(':') + 1)
  return {
    link,
    attachment,
    ifname,
    netns: '',
    ipv4,
    ipv6,
    gateway4,
    gateway6,
    mtu: Number(mtu),
    routeMtu: Number(routeMtu),
  }
}

/** Devices about to be removed together: one wait of the kernel for all of them. */
const DOOMED_GROUP = 0x6c7863

/**
 * Makes the pair with everything inside the pod: addresses, routes, the gateway's neighbour entry. `attach` puts the
 * programs on the host's side (by index) while that is still down, so nothing flows past them.
 */
export function podDevicesTarget(netlink: Netlink, attach: (index: number) => void, gone: Gone): Target<PodDevice> {
  return {
    name: 'pod devices',
    key: (d) => d.link,
    load: () =>
      links(netlink)
        .filter((l) => /^lxc[0-9a-f]{12}$/.test(l.name))
        .map((l) => ofAlias(l.name, l.alias)),
    equal: (a, b) => aliasOf(a) === aliasOf(b),
    write: (rows) => rows.map((row) => attempt(() => build(netlink, row, attach))),
    remove: (rows) => removeAll(netlink, rows, gone),
  }
}

/**
 * The kernel tells of the removal as soon as nobody can find a device any more; to have it forgotten takes it much
 * longer, for which nobody waits.
 */
async function removeAll(netlink: Netlink, rows: readonly PodDevice[], gone: Gone): Promise<readonly Outcome[]> {
  const [only, ...others] = rows
  if (!only) return []
  const stop = new AbortController()
  const release = hurry()
  try {
    const outcomes = rows.map((row) => (others.length === 0 ? done : attempt(() => condemn(netlink, row))))
    const forgotten = deleteAside(others.length === 0 ? { name: only.link } : { group: DOOMED_GROUP })
    const names = rows.map((row) => row.link)
    const error = await Promise.race([forgotten, gone(names, stop.signal)]).then(() => '', errorText)
    return error === '' ? outcomes : rows.map(() => ({ ok: false, error }))
  } finally {
    release()
    stop.abort()
  }
}

/** Resolves once none of the devices is there any more; never if one of them was not known. */
export type Gone = (names: readonly string[], signal: AbortSignal) => Promise<void>

export const goneFrom =
  (db: Database): Gone =>
  (names, signal) =>
    new Promise((resolve) => {
      const known = (name: string) => db.by(devices, 'name', name).length > 0
      if (!names.every(known)) return
      const stop = db.listen((changed) => {
        if (changed.has('devices') && !names.some(known)) resolve()
      })
      signal.addEventListener('abort', stop)
    })

const done: Outcome = { ok: true }

function attempt(work: () => void): Outcome {
  try {
    work()
    return done
  } catch (e) {
    return { ok: false, error: e instanceof Error ? e.message : String(e) }
  }
}

function condemn(netlink: Netlink, row: PodDevice): void {
  const index = interfaceIndex(netlink.fd, row.link)
  if (index === 0) return
  try {
    changeLink(netlink, index, { group: DOOMED_GROUP })
  } catch (e) {
    if (!isMissing(e)) throw e
  }
}

function build(netlink: Netlink, d: PodDevice, attach: (index: number) => void): void {
  if (!existsSync(d.netns)) throw new Error(`the network namespace ${d.netns} of ${d.attachment} is gone`)
  const namespace = openSync(d.netns, 'r')
  try {
    let host = interfaceIndex(netlink.fd, d.link)
    const made = host === 0 || deleteForeign(netlink, d)
    if (made) {
      // The pod's end by its name: only that one can be up from the start.
      createLink(netlink, {
        kind: 'veth',
        name: d.ifname,
        mac: podMac,
        mtu: d.mtu,
        up: true,
        namespace,
        peer: { name: d.link, mac: gatewayMac, mtu: d.mtu },
      })
      host = interfaceIndex(netlink.fd, d.link)
      if (host === 0) throw new Error(`${d.link} vanished while it was made`)
    }
    const inside = inNamespace(namespace, () => {
      sysctls(d)
      return openNetlink()
    })
    try {
      const device = interfaceIndex(inside.fd, d.ifname)
      if (device === 0) throw new Error(`the namespace ${d.netns} has no ${d.ifname}; something else removed it`)
      inside.together(() => {
        if (!made) changeLink(inside, device, { up: true, mtu: d.mtu })
        configure(inside, device, d)
      })
    } finally {
      inside.close()
    }
    attach(host)
    // The way to the pod needs no question to the pod.
    netlink.together(() => {
      for (const address of [d.ipv4, d.ipv6])
        if (address !== '') putNeighbour(netlink, { device: host, address, mac: podMac })
    })
    // Last: an alias says that all of it is done.
    changeLink(netlink, host, { up: true, alias: aliasOf(d), ...(made ? {} : { mtu: d.mtu }) })
  } finally {
    closeSync(namespace)
  }
}

/** Removes a device of this name that was made for something else; whether there is none now. */
function deleteForeign(netlink: Netlink, d: PodDevice): boolean {
  const there = linkByName(netlink, d.link)
  if (!there) return true
  if (there.alias === '' || ofAlias(d.link, there.alias).attachment === d.attachment) return false
  deleteLink(netlink, { name: d.link })
  return true
}

function sysctls(d: PodDevice): void {
  if (d.ipv6 === '') return
  for (const name of ['all', 'default', d.ifname]) writeSysctl(`net.ipv6.conf.${name}.disable_ipv6`, 0)
}

function configure(inside: Netlink, device: number, d: PodDevice): void {
  if (!isUp(inside.fd, 'lo')) changeLink(inside, 1, { up: true })
  for (const [address, gateway, bits, everything] of [
    [d.ipv4, d.gateway4, 32, '0.0.0.0/0'],
    [d.ipv6, d.gateway6, 128, '::/0'],
  ] as const) {
    if (address === '') continue
    putAddress(inside, { device, address: `${address}/${bits}`, noDad: true })
    putNeighbour(inside, { device, address: gateway, mac: gatewayMac })
    putRoute(inside, { prefix: `${gateway}/${bits}`, device })
    putRoute(inside, { prefix: everything, via: gateway, device, mtu: d.routeMtu, onlink: true })
  }
}
