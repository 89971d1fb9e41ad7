// SPDX-License-Identifier: Apache-2.0
import { findVariable, parseBtf, type Types } from '../../protocol/btf/btf.ts'
import { Attribute, foreignBytes, KernelError, lastErrno, libbpf, takeMessages } from './syscall.ts'

export interface ObjectSettings {
  /** Directory of a bpffs in which the maps that ask for it are pinned by name, and found again. Without it every
   * map is private to this object and gone with the process. */
  readonly pins?: string
  /** Bytes of variables in `.rodata`, by name; the verifier treats them as constants. */
  readonly constants?: Readonly<Record<string, Uint8Array>>
  /** Other sizes of maps than the object's own. A map that is pinned already must agree. */
  readonly maxEntries?: Readonly<Record<string, number>>
  /** Maps of another object to use in place of this object's own, by name: descriptors. */
  readonly shared?: ReadonlyMap<string, number>
  /** Load only these programs. */
  readonly only?: readonly string[]
}

/** A loaded BPF object. Its descriptors live until `close`; what is pinned or attached lives on. */
export interface LoadedObject {
  readonly maps: ReadonlyMap<string, number>
  readonly programs: ReadonlyMap<string, number>
  /** Descriptor of a map; throws when the object has no such map. */
  map(name: string): number
  program(name: string): number
  close(): void
}

/** An object that did not load: what libbpf said, and the end of the verifier's log (`log` has all of it). */
export class LoadError extends Error {
  readonly code: string
  readonly log: string
  constructor(path: string, cause: KernelError, said: readonly string[], log: string) {
    const tail = log.trimEnd().split('\n').slice(-40).join('\n')
    super([`${path} does not load: ${cause.code}`, ...said, ...(tail ? [tail] : [])].join('\n'), { cause })
    this.name = 'LoadError'
    this.code = cause.code
    this.log = log
  }
}

const LOG_SIZE = 1 << 20

/** Opens, sizes, fills and loads an object file. Throws a LoadError when libbpf or the kernel refuses it. */
export function loadObject(path: string, settings: ObjectSettings = {}): LoadedObject {
  const lib = libbpf()
  takeMessages()
  const log = new Uint8Array(new ArrayBuffer(LOG_SIZE))
  const options = new Attribute(80).u64(0, 80n).pointer(56, log).u64(64, BigInt(LOG_SIZE)) // bpf_object_open_opts
  const refused = (call: string, errno: number): LoadError => {
    const end = log.indexOf(0)
    const text = new TextDecoder().decode(log.subarray(0, end < 0 ? LOG_SIZE : end))
    return new LoadError(path, new KernelError(call, errno), takeMessages(), text)
  }

  const object = BigInt(lib.openFile(path, options.address) ?? 0n)
  if (object === 0n) throw refused('bpf_object__open_file', lastErrno())
  try {
    const all = (next: (object: bigint, previous: bigint) => number | bigint): bigint[] => {
      const found: bigint[] = []
      for (let at = BigInt(next(object, 0n)); at !== 0n; at = BigInt(next(object, at))) found.push(at)
      return found
    }
    const types = typesOf(object)
    const maps = all(lib.nextMap)
    const programs = all(lib.nextProgram)
    const mapNames = maps.map((map) => lib.mapName(map))
    for (const name of Object.keys(settings.maxEntries ?? {}))
      if (!mapNames.includes(name)) throw new Error(`${path} has no map ${name}`)

    for (const [index, map] of maps.entries()) {
      const name = mapNames[index]!
      const entries = settings.maxEntries?.[name]
      const shared = settings.shared?.get(name)
      if (entries !== undefined) must(lib.setMaxEntries(map, entries), `max_entries of ${name}`)
      if (lib.pinPath(map) !== null)
        must(
          lib.setPinPath(map, settings.pins === undefined ? null : `${settings.pins}/${name}`),
          `pin path of ${name}`,
        )
      if (shared !== undefined) must(lib.reuseFd(map, shared), `sharing ${name}`)
      if (name.endsWith('.rodata')) writeConstants(map, types, path, settings.constants ?? {})
    }
    if (settings.constants && !mapNames.some((name) => name.endsWith('.rodata')))
      throw new Error(`${path} has no constants`)
    if (settings.only)
      for (const program of programs)
        must(lib.setAutoload(program, settings.only.includes(lib.programName(program))), 'autoload')

    const result = lib.load(object)
    if (result < 0) throw refused('bpf_object__load', -result)

    const mapFds = new Map(maps.map((map, index) => [mapNames[index]!, lib.mapFd(map)]))
    const programFds = new Map(
      programs
        .map((program) => [lib.programName(program), lib.programFd(program)] as const)
        .filter(([, fd]) => fd >= 0),
    )
    return {
      maps: mapFds,
      programs: programFds,
      map: (name) => named(mapFds, name, path, 'map'),
      program: (name) => named(programFds, name, path, 'program'),
      close: () => lib.close(object),
    }
  } catch (error) {
    lib.close(object)
    throw error
  }
}

function must(result: number, call: string): void {
  if (result < 0) throw new KernelError(call, -result)
}

export function named(fds: ReadonlyMap<string, number>, name: string, path: string, what: string): number {
  const fd = fds.get(name)
  if (fd === undefined) throw new Error(`${path} has no ${what} ${name}; it has ${[...fds.keys()].join(', ')}`)
  return fd
}

// From libbpf rather than from the file: in the file offsets of variables are still zero, libbpf fills them in.
function typesOf(object: bigint): Types {
  const lib = libbpf()
  const size = new Uint32Array(new ArrayBuffer(4))
  const bytes = BigInt(lib.btfBytes(BigInt(lib.btf(object)), size))
  if (bytes === 0n) throw new Error('the object carries no BTF: compile it with -g')
  return parseBtf(foreignBytes(bytes, size[0]!))
}

function writeConstants(
  map: bigint,
  types: Types,
  path: string,
  constants: Readonly<Record<string, Uint8Array>>,
): void {
  const size = new BigUint64Array(new ArrayBuffer(8))
  const address = BigInt(libbpf().mapInitialValue(map, size))
  const memory = foreignBytes(address, Number(size[0]!))
  for (const [name, bytes] of Object.entries(constants)) {
    const place = findVariable(types, '.rodata', name)
    if (!place) throw new Error(`${path} has no constant ${name}`)
    if (place.size !== bytes.byteLength)
      throw new Error(`${path}: constant ${name} has ${place.size} bytes, not ${bytes.byteLength}`)
    memory.set(bytes, place.offset)
  }
}
