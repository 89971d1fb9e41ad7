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
import { errorText } from '../../edge/runtime/scope.ts'
import { type Endpoint, gatewayMac, podMac } from '../../model/endpoint.ts'
import { devices } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { deriveEach } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { nodeFacts } from './node_facts.ts'

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
  const link = linkByName(netlink, row.link)
  if (!link) return
  try {
    changeLink(netlink, link.index, { group: DOOMED_GROUP })
  } catch (e) {
    if (!isMissing(e)) throw e
  }
}

function build(netlink: Netlink, d: PodDevice, attach: (index: number) => void): void {
  if (!existsSync(d.netns)) throw new Error(`the network namespace ${d.netns} of ${d.attachment} is gone`)
  const namespace = openSync(d.netns, 'r')
  try {
    let host = linkByName(netlink, d.link)
    if (host && ofAlias(d.link, host.alias).attachment !== d.attachment && host.alias !== '') {
      deleteLink(netlink, { name: d.link })
      host = undefined
    }
    if (!host) {
      createLink(netlink, {
        kind: 'veth',
        name: d.link,
        mac: gatewayMac,
        mtu: d.mtu,
        peer: { name: d.ifname, mac: podMac, mtu: d.mtu, namespace },
      })
      host = linkByName(netlink, d.link)
      if (!host) throw new Error(`${d.link} vanished while it was made`)
    } else changeLink(netlink, host.index, { mtu: d.mtu })
    const inside = inNamespace(namespace, () => {
      sysctls(d)
      return openNetlink()
    })
    try {
      configure(inside, d)
    } finally {
      inside.close()
    }
    attach(host.index)
    changeLink(netlink, host.index, { up: true })
    // The way to the pod needs no question to the pod.
    for (const address of [d.ipv4, d.ipv6])
      if (address !== '') putNeighbour(netlink, { device: host.index, address, mac: podMac })
    // Last: an alias says that all of it is done.
    changeLink(netlink, host.index, { alias: aliasOf(d) })
  } finally {
    closeSync(namespace)
  }
}

function sysctls(d: PodDevice): void {
  if (d.ipv6 === '') return
  for (const name of ['all', 'default', d.ifname]) writeSysctl(`net.ipv6.conf.${name}.disable_ipv6`, 0)
}

function configure(inside: Netlink, d: PodDevice): void {
  const device = linkByName(inside, d.ifname)
  if (!device) throw new Error(`the namespace ${d.netns} has no ${d.ifname}; something else removed it`)
  changeLink(inside, 1, { up: true })
  changeLink(inside, device.index, { up: true, mtu: d.mtu })
  for (const [address, gateway, bits, everything] of [
    [d.ipv4, d.gateway4, 32, '0.0.0.0/0'],
    [d.ipv6, d.gateway6, 128, '::/0'],
  ] as const) {
    if (address === '') continue
    putAddress(inside, { device: device.index, address: `${address}/${bits}`, noDad: true })
    putNeighbour(inside, { device: device.index, address: gateway, mac: gatewayMac })
    putRoute(inside, { prefix: `${gateway}/${bits}`, device: device.index })
    putRoute(inside, { prefix: everything, via: gateway, device: device.index, mtu: d.routeMtu, onlink: true })
  }
}
