// SPDX-License-Identifier: Apache-2.0
// The rows of src/model/datapath.ts as entries of the maps of bpf/contract, one target for each map.
import * as contract from '../../../gen/contract.ts'
import { address, addressFrom, isIpv4, prefix, printAddress } from '../../base/ip.ts'
import type * as rows from '../../model/datapath.ts'
import type { ProxyPairRow } from '../../model/proxy.ts'
import { macBytes, macText } from '../../protocol/netlink/message.ts'
import type { Table } from '../../table/definition.ts'
import type { Target } from '../../table/target.ts'
import { kernelClasses, type MapByName } from './classes.ts'
import { contractMap } from './map.ts'
import type { Mapping } from './syscall.ts'
import { arrayTarget, mapTarget, present, rangeTarget, type TargetOptions } from './target.ts'

const { maps } = contract
type Rows<Row> = Table<Row>

const nowhere = new Uint8Array(16)
const noMac = new Uint8Array(6)
/** Addresses of nodes, which many rows name. */
const parsed = new Map<string, Uint8Array>()
function addressBytes(text: string): Uint8Array {
  if (text === '') return nowhere
  let bytes = parsed.get(text)
  if (!bytes) {
    if (parsed.size >= 1024) parsed.clear()
    parsed.set(text, (bytes = address(text)))
  }
  return bytes
}
const addressText = (bytes: Uint8Array): string =>
  bytes.every((byte) => byte === 0) ? '' : printAddress(addressFrom(bytes))
const macOf = (text: string): Uint8Array => (text === '' ? noMac : macBytes(text))
const macTextOf = (bytes: Uint8Array): string => (bytes.every((byte) => byte === 0) ? '' : macText(bytes))

const ownerValue = ({
  identity,
  peer,
  interface: index,
  policy,
  endpoint,
  flags,
  node,
}: rows.OwnerRow): contract.Owner => ({
  identity,
  peer,
  interface: index,
  policy,
  endpoint,
  flags,
  node: addressBytes(node),
})
const ownerRow = (at: string, value: contract.Owner): rows.OwnerRow => ({
  address: at,
  ...value,
  node: addressText(value.node),
})

/** cilium_owners: exact addresses. */
export const ownersTarget = (table: Rows<rows.OwnerRow>, fd: number, options?: TargetOptions): Target<rows.OwnerRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_owners, fd),
    {
      encode: (row) => [address(row.address), ownerValue(row)],
      decode: (key, value) => ownerRow(printAddress(key), value),
    },
    options,
  )

/** cilium_ipcache: prefixes. */
export const ipcacheTarget = (table: Rows<rows.OwnerRow>, fd: number, options?: TargetOptions): Target<rows.OwnerRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_ipcache, fd),
    {
      encode: (row) => {
        const { address: start, length } = prefix(row.address)
        return [{ bits: length, address: start }, ownerValue(row)]
      },
      decode: ({ bits, address: start }, value) => {
        const length = isIpv4(start) && bits >= 96 ? bits - 96 : bits
        return ownerRow(`${printAddress(start)}/${length}`, value)
      },
    },
    options,
  )

/** cilium_interfaces. */
export const interfacesTarget = (
  table: Rows<rows.InterfaceRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.InterfaceRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_interfaces, fd),
    {
      encode: ({ index, ipv4, ipv6, mac, ...rest }) => [
        index,
        { ...rest, ipv4: addressBytes(ipv4), ipv6: addressBytes(ipv6), mac: macOf(mac) },
      ],
      decode: (index, { ipv4, ipv6, mac, ...rest }) => ({
        index,
        ...rest,
        ipv4: addressText(ipv4),
        ipv6: addressText(ipv6),
        mac: macTextOf(mac),
      }),
    },
    options,
  )

/** cilium_policies, through its memory: both table numbers change in one store. */
export function policiesTarget(
  table: Rows<rows.PolicyRow>,
  fd: number,
  options: TargetOptions = {},
): Target<rows.PolicyRow> {
  const map = contractMap(maps.cilium_policies, fd)
  const target = arrayTarget(table, map, {
    encode: ({ policy, ingress, egress }) => [policy, { ingress, egress }],
    decode: (policy, { ingress, egress }) => ({ policy, ingress, egress }),
  })
  const words = new BigUint64Array(map.memory().bytes)
  const store = (row: rows.PolicyRow, value: bigint) => {
    if (row.policy >= map.info.maxEntries)
      return { ok: false, error: `${map.name} has room for ${map.info.maxEntries} policies`, permanent: true } as const
    Atomics.store(words, row.policy, value)
    return { ok: true } as const
  }
  const change = (all: readonly rows.PolicyRow[], value: (row: rows.PolicyRow) => bigint) => {
    const result = all.map((row) => store(row, value(row)))
    if (result.some((outcome) => outcome.ok)) options.changed?.()
    return result
  }
  return {
    ...target,
    write: (all) => change(all, ({ ingress, egress }) => BigInt(ingress) | (BigInt(egress) << 32n)),
    remove: (all) => change(all, () => 0n),
  }
}

/** cilium_policy_tables. */
export const policyTablesTarget = (
  table: Rows<rows.PolicyTableRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.PolicyTableRow> =>
  arrayTarget(
    table,
    contractMap(maps.cilium_policy_tables, fd),
    {
      encode: ({ table: index, ...value }) => [index, value],
      decode: (index, value) => ({ table: index, ...value }),
    },
    options,
  )

/** cilium_policy_pages. */
export const policyPagesTarget = (
  table: Rows<rows.PolicyPageRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.PolicyPageRow> =>
  arrayTarget(
    table,
    contractMap(maps.cilium_policy_pages, fd),
    { encode: ({ page, column }) => [page, { column }], decode: (page, { column }) => ({ page, column }) },
    options,
  )

/** cilium_policy_cells: runs. */
export const cellsTarget = (table: Rows<rows.CellsRow>, fd: number, options?: TargetOptions): Target<rows.CellsRow> =>
  rangeTarget(
    table,
    contractMap(maps.cilium_policy_cells, fd),
    ({ first, cells }) => ({ first, values: cells }),
    options,
  )

/** cilium_proxy_pairs. */
export const proxyPairsTarget = (
  table: Rows<ProxyPairRow>,
  fd: number,
  options?: TargetOptions,
): Target<ProxyPairRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_proxy_pairs, fd),
    {
      encode: ({ egress, ingress, port }) => [{ egress, ingress }, port],
      decode: (pair, port) => ({ ...pair, port }),
    },
    options,
  )

/** cilium_services. */
export const servicesTarget = (
  table: Rows<rows.ServiceRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.ServiceRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_services, fd),
    {
      encode: ({ address: at, port, protocol, scope, slots, count, flags, id, affinity }) => [
        { address: address(at), port, protocol, scope },
        { slots, count, flags, id, affinity },
      ],
      decode: ({ address: at, ...key }, value) => ({ address: printAddress(at), ...key, ...value }),
    },
    options,
  )

/** cilium_source_ranges. */
export const sourceRangesTarget = (
  table: Rows<rows.SourceRangeRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.SourceRangeRow> =>
  mapTarget(
    table,
    contractMap(maps.cilium_source_ranges, fd),
    {
      encode: (row) => {
        const { address: start, length } = prefix(row.prefix)
        return [{ bits: 32 + length, service: row.id, address: start }, 1]
      },
      decode: ({ bits, service, address: start }) => {
        const length = bits - 32
        return { id: service, prefix: `${printAddress(start)}/${isIpv4(start) && length >= 96 ? length - 96 : length}` }
      },
    },
    options,
  )

/** cilium_backend_slots: runs. */
export const slotsTarget = (table: Rows<rows.SlotsRow>, fd: number, options?: TargetOptions): Target<rows.SlotsRow> =>
  rangeTarget(
    table,
    contractMap(maps.cilium_backend_slots, fd),
    ({ first, backends }) => ({ first, values: backends }),
    options,
  )

/** cilium_backends. */
export const backendsTarget = (
  table: Rows<rows.BackendRow>,
  fd: number,
  options?: TargetOptions,
): Target<rows.BackendRow> =>
  arrayTarget(
    table,
    contractMap(maps.cilium_backends, fd),
    {
      encode: ({ backend, address: at, ...value }) => [backend, { address: address(at), ...value }],
      decode: (backend, { address: at, ...value }) => ({ backend, address: printAddress(at), ...value }),
    },
    options,
  )

/** What the kernel holds of services: the entries, the run of slots of each, all backends. */
export function kernelServices(services: number, slots: number, backends: number) {
  const slotsMap = contractMap(maps.cilium_backend_slots, slots)
  const entries = [...contractMap(maps.cilium_services, services).entries()].map(
    ([{ address: at, ...key }, value]): rows.ServiceRow => ({ address: printAddress(at), ...key, ...value }),
  )
  const runs = entries
    .filter((e) => e.count > 0)
    .map(({ slots: first, count }): rows.SlotsRow => {
      const bytes = slotsMap.readRange(first, count)
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      return { first, backends: Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true)) }
    })
  const all = [...present(contractMap(maps.cilium_backends, backends))].map(
    ([backend, { address: at, ...value }]): rows.BackendRow => ({ backend, address: printAddress(at), ...value }),
  )
  return { services: entries, slots: runs, backends: all }
}

/**
 * What the kernel holds of policy: which tables its policy numbers mean. Where all of them mean none, because the maps were
 * made anew, also the numbers that endpoints still have: given to another, one would judge them by the other's policy.
 */
export function kernelPolicies(map: MapByName): rows.KernelPolicy[] {
  const open = <K, V>(spec: contract.MapSpec<K, V>) => contractMap(spec, map(spec.name))
  const found = [...present(open(maps.cilium_policies))].map(([policy, value]) => ({ policy, ...value }))
  if (found.length > 0) return found
  const named = new Set<number>()
  for (const [, { policy }] of open(maps.cilium_interfaces).entries()) named.add(policy)
  for (const [, { policy }] of open(maps.cilium_owners).entries()) named.add(policy)
  named.delete(0)
  return [...named].map((policy) => ({ policy, ingress: 0, egress: 0 }))
}

/** The room that decision tables take in the kernel: as many cells as their highest class needs, and their pages. */
export function kernelTables(map: MapByName): rows.KernelTable[] {
  const classes = kernelClasses(map)
  const tables = contractMap(maps.cilium_policy_tables, map(maps.cilium_policy_tables.name))
  return [...present(tables)].map(([table, { cells, columns, page }]) => {
    let highest = 0
    for (const number of classes.get(table)?.values() ?? []) highest = Math.max(highest, number)
    const pages = [...new Set(page.flat())].sort((a, b) => a - b)
    return { table, cells, count: columns * (highest + 1), pages }
  })
}

/** cilium_epoch: moving it on makes the datapath judge every flow once more. */
export function openEpoch(fd: number): { read(): number; bump(): void; readonly mapping: Mapping } {
  const mapping = contractMap(maps.cilium_epoch, fd).memory()
  const words = new Uint32Array(mapping.bytes)
  // 0 is what a flow entry holds that was never judged.
  if (Atomics.load(words, 0) === 0) Atomics.store(words, 0, 1)
  return {
    mapping,
    read: () => Atomics.load(words, 0),
    bump: () => void (Atomics.add(words, 0, 1) === 0xffffffff && Atomics.store(words, 0, 1)),
  }
}
