// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, configLayout, maps as contractMaps } from '../../../gen/contract.ts'
import { address, parsePrefix } from '../../base/ip.ts'
import { loadKept } from '../../edge/kernel/kept.ts'
import { openPinned } from '../../edge/kernel/link.ts'
import { type MapInfo, mapInfo } from '../../edge/kernel/map.ts'
import { type LoadedObject, loadObject } from '../../edge/kernel/object.ts'
import { close, networkCookie } from '../../edge/kernel/syscall.ts'
import { gatewayMac, podMac } from '../../model/endpoint.ts'
import type { OptionValues } from '../../model/options.ts'
import type { Settings } from '../../model/settings.ts'
import type { NodeFacts } from './node-facts.ts'

/** Where the datapath lives on this machine. */
export interface Places {
  /** Directory of the compiled objects. */
  readonly objects: string
  /** Directory of pinned maps in the bpffs. */
  readonly maps: string
}

/** Decision tables are whole or not at all: where a peer's class were missing, a policy that stayed could let it pass. */
const decisionMaps: ReadonlySet<string> = new Set([
  contractMaps.cilium_policies.name,
  contractMaps.cilium_policy_tables.name,
  contractMaps.cilium_policy_pages.name,
  contractMaps.cilium_class_index.name,
  contractMaps.cilium_class_pages.name,
  contractMaps.cilium_policy_classes.name,
  contractMaps.cilium_policy_cells.name,
])

/** The maps of the contract, pinned; they outlive the agent. `madeAnew` hears of those that could not be taken over. */
export function openMaps(
  places: Places,
  options: OptionValues,
  madeAnew: (map: string) => void = () => undefined,
): LoadedObject {
  mkdirSync(places.maps, { recursive: true })
  const wanted: { [name: string]: number } = {
    cilium_flows: Number(options['bpf-ct-global-tcp-max']) + Number(options['bpf-ct-global-any-max']),
  }
  const found = Object.values<WantedMap>(contractMaps).map((wants) => {
    const path = `${places.maps}/${wants.name}`
    const pinned = pinnedInfo(path)
    return { name: wants.name, path, pinned, fits: pinned !== undefined && isOfShape(pinned, wants) }
  })
  const tablesFit = found.every(({ name, fits }) => fits || !decisionMaps.has(name))
  // A map keeps its size for as long as it is pinned: another size would mean another map, and every flow forgotten.
  const maxEntries: { [name: string]: number } = {}
  for (const { name, path, pinned, fits } of found) {
    const takesOver = fits && (tablesFit || !decisionMaps.has(name))
    // Programs of the version that made it hold it until they are replaced.
    if (pinned && !takesOver) {
      unlinkSync(path)
      madeAnew(name)
    }
    const entries = takesOver ? pinned?.maxEntries : wanted[name]
    if (entries !== undefined) maxEntries[name] = entries
  }
  return loadObject(join(places.objects, 'contract.o'), { pins: places.maps, maxEntries })
}

interface WantedMap {
  readonly name: string
  readonly type: number
  readonly flags: number
  readonly key?: { readonly size: number }
  readonly value?: { readonly size: number }
}

const isOfShape = (info: MapInfo, wants: WantedMap): boolean =>
  info.type === wants.type &&
  info.flags === wants.flags &&
  info.keySize === (wants.key?.size ?? 0) &&
  info.valueSize === (wants.value?.size ?? 0)

function pinnedInfo(path: string): MapInfo | undefined {
  const fd = openPinned(path)
  if (fd === undefined) return undefined
  try {
    return mapInfo(fd)
  } finally {
    close(fd)
  }
}

export interface Programs {
  readonly byName: ReadonlyMap<string, number>
  close(): void
}

const OBJECTS = ['pod', 'host', 'socket'] as const

/** Loads the programs with this node's constants over the maps that are there, or finds them as they were left. */
export function loadPrograms(places: Places, maps: LoadedObject, config: Config): Programs {
  const bytes = new Uint8Array(configLayout.size)
  configLayout.write(new DataView(bytes.buffer), 0, config)
  const shared = new Map([...maps.maps].filter(([name]) => name in contractMaps))
  const loaded: LoadedObject[] = []
  try {
    for (const name of OBJECTS)
      loaded.push(
        loadKept(join(places.objects, `${name}.o`), { pins: places.maps, shared, constants: { config: bytes } }),
      )
  } catch (e) {
    for (const object of loaded) object.close()
    throw e
  }
  return {
    byName: new Map(loaded.flatMap((object) => [...object.programs])),
    close: () => {
      for (const object of loaded) object.close()
    },
  }
}

const none = new Uint8Array(16)
const addressOf = (text: string): Uint8Array => (text === '' ? none : address(text))
const macOf = (text: string): Uint8Array => Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16))

/** Ports a masqueraded connection may get: above those the kernel gives to local ones. */
const NAT_PORTS = [61000, 65535] as const

/** The constants of the programs: settings and what this node is. */
export function configOf(
  { settings, facts, net }: { readonly settings: Settings; readonly facts: NodeFacts; readonly net: number },
  options: OptionValues,
): Config {
  const native4 = parsePrefix(settings.ipv4NativeRoutingCidr)
  const native6 = parsePrefix(settings.ipv6NativeRoutingCidr)
  return {
    nodeIpv4: settings.enableIpv4 ? addressOf(facts.ipv4) : none,
    nodeIpv6: settings.enableIpv6 ? addressOf(facts.ipv6) : none,
    gatewayIpv4: addressOf(facts.gateway4),
    gatewayIpv6: addressOf(facts.gateway6),
    nativeIpv4: native4?.address ?? none,
    nativeIpv6: native6?.address ?? none,
    nativeIpv4Bits: native4?.length ?? 0,
    nativeIpv6Bits: native6?.length ?? 0,
    wire: facts.wire,
    net,
    tunnel: settings.routingMode === 'tunnel' ? 1 : 0,
    tunnelPort: settings.tunnelPort,
    tunnelMtu: facts.podMtu,
    wireMtu: facts.wireMtu,
    natPortFirst: NAT_PORTS[0],
    natPortLast: NAT_PORTS[1],
    masqueradeIpv4: Number(settings.enableIpv4 && settings.enableIpv4Masquerade && facts.ipv4 !== ''),
    masqueradeIpv6: Number(settings.enableIpv6 && settings.enableIpv6Masquerade && facts.ipv6 !== ''),
    // The decision tables say so themselves, under a rule that has a name and gives way to a denial.
    dualWorld: Number(settings.enableIpv4 && settings.enableIpv6),
    gatewayMac: macOf(gatewayMac),
    podMac: macOf(podMac),
    tcpTimeout: Number(options['bpf-ct-timeout-regular-tcp']),
    synTimeout: Number(options['bpf-ct-timeout-regular-tcp-syn']),
    anyTimeout: Number(options['bpf-ct-timeout-regular-any']),
    dropEventsPerSecond: 100,
    hz: kernelHz(),
    tcpPeerNames: 0,
    socketEvents: 0,
    hostFirewall: Number(settings.enableHostFirewall),
    namespace: networkCookie(),
  }
}

/** Ticks per second of the running kernel, 0 when it does not say: then the programs take the usual 250. */
function kernelHz(): number {
  try {
    const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
    return Number(/^CONFIG_HZ=([0-9]+)$/m.exec(readFileSync(`/boot/config-${release}`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}
