// SPDX-License-Identifier: Apache-2.0
// Programs on devices before Linux 6.6: filters of traffic control. A filter lives as long as its device, whoever runs,
// and is exchanged in one step; its name says whose it is.
import {
  decodeFilter,
  decodeQdisc,
  encodeClsact,
  encodeFilter,
  encodeFilterDump,
  encodeFilterRemoval,
  encodeQdiscDump,
  FILTER,
  type Filter,
  QDISC,
} from '../../protocol/netlink/filter.ts'
import { FLAG } from '../../protocol/netlink/message.ts'
import type { Direction } from './link.ts'
import { isMissing, type Netlink, openNetlink } from './netlink.ts'

/** The one place of each direction that is ours; nobody else's filter is replaced or removed. */
const place = { priority: 1, handle: 0xc111 } as const

/** Puts a program on a device of the current network namespace; one that is there is exchanged, no packet meets neither. */
export function putFilter(program: number, device: number, direction: Direction, name: string): void {
  withNetlink((netlink) => {
    // One that is there is no error, an ingress in its place is: that has no room for what leaves.
    netlink.change(QDISC.NEW, FLAG.CREATE, encodeClsact(device), `clsact of interface ${device}`)
    netlink.change(
      FILTER.NEW,
      FLAG.CREATE | FLAG.REPLACE,
      encodeFilter({ ...place, device, direction, name, program }),
      `filter on ${direction} of interface ${device}`,
    )
  })
}

/** Removes our filter, and the clsact when it was the last filter there. One that is not there is no error. */
export function removeFilter(device: number, direction: Direction): void {
  withNetlink((netlink) => {
    if (!filtersOf(netlink, device, direction).some(isOurs)) return
    unlessGone(() =>
      netlink.change(
        FILTER.DELETE,
        0,
        encodeFilterRemoval({ ...place, device, direction }),
        `removal of the filter on ${direction} of interface ${device}`,
      ),
    )
    const left = (['ingress', 'egress'] as const).some((each) => filtersOf(netlink, device, each).length > 0)
    if (!left)
      unlessGone(() =>
        netlink.change(QDISC.DELETE, 0, encodeClsact(device), `removal of the clsact of interface ${device}`),
      )
  })
}

/** Our filters on all devices of the current network namespace, of any name. */
export const filters = (): Filter[] =>
  withNetlink((netlink) =>
    clsactDevices(netlink).flatMap((device) =>
      (['ingress', 'egress'] as const).flatMap((each) => filtersOf(netlink, device, each).filter(isOurs)),
    ),
  )

const isOurs = (filter: Filter): boolean => filter.kind === 'bpf' && filter.handle === place.handle

function withNetlink<T>(work: (netlink: Netlink) => T): T {
  const netlink = openNetlink()
  try {
    return work(netlink)
  } finally {
    netlink.close()
  }
}

const clsactDevices = (netlink: Netlink): number[] =>
  netlink
    .dump(QDISC.GET, encodeQdiscDump(), 'list of queueing disciplines')
    .map(decodeQdisc)
    .filter(({ kind }) => kind === 'clsact')
    .map(({ device }) => device)

const filtersOf = (netlink: Netlink, device: number, direction: Direction): Filter[] =>
  netlink
    .dump(FILTER.GET, encodeFilterDump(device, direction), `filters of interface ${device}`)
    .flatMap((message) => decodeFilter(message) ?? [])

function unlessGone(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
