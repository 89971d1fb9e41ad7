// SPDX-License-Identifier: Apache-2.0
// Traffic control as far as BPF programs on devices need it: the clsact queueing discipline, which holds filters for
// both directions, and filters of the kind bpf whose program is the whole action (direct action).
import { attributesOf, type Message, textOf, u32Of, Writer } from './message.ts'

export const QDISC = { NEW: 36, DELETE: 37, GET: 38 } as const
export const FILTER = { NEW: 44, DELETE: 45, GET: 46 } as const

const TCA = { KIND: 1, OPTIONS: 2 } as const
const TCA_BPF = { FD: 6, NAME: 7, FLAGS: 8, ID: 11 } as const
const DIRECT_ACTION = 1
const CLSACT_PARENT = 0xfffffff1
const CLSACT_HANDLE = 0xffff0000
const PARENT = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const
/** ETH_P_ALL in network order. */
const ALL_PROTOCOLS = 0x0300

export interface Qdisc {
  readonly device: number
  readonly kind: string
}

/** A place for a filter: of one priority, the one with this handle. Lower priorities see a packet first. */
export interface FilterPlace {
  readonly device: number
  readonly direction: keyof typeof PARENT
  readonly priority: number
  readonly handle: number
}
/** `program` is a descriptor. */
export interface NewFilter extends FilterPlace {
  readonly name: string
  readonly program: number
}
/** `program` is the kernel's number of it; 0 and '' where the filter is of another kind. */
export interface Filter extends FilterPlace {
  readonly kind: string
  readonly name: string
  readonly program: number
}

const header = (device: number, handle: number, parent: number, info: number): Writer =>
  new Writer().u32(0).u32(device).u32(handle).u32(parent).u32(info)

/** The clsact of a device, to be made or removed. */
export const encodeClsact = (device: number): Uint8Array =>
  header(device, CLSACT_HANDLE, CLSACT_PARENT, 0).attributeText(TCA.KIND, 'clsact').done()

export const encodeQdiscDump = (): Uint8Array => header(0, 0, 0, 0).done()

export const decodeQdisc = (message: Message): Qdisc => ({
  device: viewOf(message).getUint32(4, true),
  kind: textOf(attributesOf(message.body, 20).get(TCA.KIND) ?? new Uint8Array()),
})

const filterHeader = (place: FilterPlace): Writer =>
  header(
    place.device,
    place.handle,
    PARENT[place.direction],
    ((place.priority << 16) | ALL_PROTOCOLS) >>> 0,
  ).attributeText(TCA.KIND, 'bpf')

export const encodeFilter = (filter: NewFilter): Uint8Array =>
  filterHeader(filter)
    .nest(TCA.OPTIONS, (options) =>
      options
        .attributeU32(TCA_BPF.FD, filter.program)
        .attributeText(TCA_BPF.NAME, filter.name)
        .attributeU32(TCA_BPF.FLAGS, DIRECT_ACTION),
    )
    .done()

export const encodeFilterRemoval = (place: FilterPlace): Uint8Array => filterHeader(place).done()

export const encodeFilterDump = (device: number, direction: keyof typeof PARENT): Uint8Array =>
  header(device, 0, PARENT[direction], 0).done()

/** A filter, or undefined: a list also names the priorities themselves, which have no handle. */
export function decodeFilter(message: Message): Filter | undefined {
  const view = viewOf(message)
  const parent = view.getUint32(12, true)
  const attributes = attributesOf(message.body, 20)
  const options = attributesOf(attributes.get(TCA.OPTIONS) ?? new Uint8Array())
  const kind = textOf(attributes.get(TCA.KIND) ?? new Uint8Array())
  const handle = view.getUint32(8, true)
  const direction = parent === PARENT.ingress ? 'ingress' : parent === PARENT.egress ? 'egress' : undefined
  if (handle === 0 || direction === undefined) return undefined
  return {
    device: view.getUint32(4, true),
    direction,
    priority: view.getUint32(16, true) >>> 16,
    handle,
    kind,
    name: kind === 'bpf' ? textOf(options.get(TCA_BPF.NAME) ?? new Uint8Array()) : '',
    program: kind === 'bpf' ? (u32Of(options.get(TCA_BPF.ID)) ?? 0) : 0,
  }
}

const viewOf = ({ body }: Message): DataView => new DataView(body.buffer, body.byteOffset, body.byteLength)
