// SPDX-License-Identifier: Apache-2.0
// Every native call of the project is declared here: libc and libbpf through koffi, synchronous, on the one thread but
// for `sendAside`. Replacing koffi by an addon means replacing this file.
import { closeSync } from 'node:fs'
import { constants, endianness } from 'node:os'
import koffi from 'koffi'

if (endianness() !== 'LE') throw new Error('the kernel layouts of this project are little endian')

const ENOTSUPP = 524 // internal to the kernel, yet bpf() returns it
const numbers: ReadonlyMap<string, number> = new Map([...Object.entries(constants.errno), ['ENOTSUPP', ENOTSUPP]])
const synonyms: readonly string[] = ['EWOULDBLOCK', 'ENOTSUP', 'EDEADLOCK']
const codeByNumber = new Map(
  [...numbers].filter(([code]) => !synonyms.includes(code)).map(([code, number]) => [number, code]),
)

/** A system call that failed. `code` is the symbolic errno (`E2BIG`), `call` what was tried on what. */
export class KernelError extends Error {
  readonly call: string
  readonly errno: number
  readonly code: string
  constructor(call: string, errno: number, detail = '') {
    const code = codeByNumber.get(errno) ?? `errno ${errno}`
    super(`${call}: ${code}${detail && `: ${detail}`}`)
    this.name = 'KernelError'
    this.call = call
    this.errno = errno
    this.code = code
  }
}

export function errnoNumber(code: string): number {
  const number = numbers.get(code)
  if (number === undefined) throw new Error(`no such errno: ${code}`)
  return number
}

const libc = koffi.load('libc.so.6')
const native = {
  syscall: libc.func('long syscall(long number, int command, uint64_t attribute, uint size)'),
  mmap: libc.func('intptr_t mmap(uint64_t address, size_t length, int protection, int flags, int fd, long offset)'),
  munmap: libc.func('int munmap(uint64_t address, size_t length)'),
  setns: libc.func('int setns(int fd, int type)'),
  unshare: libc.func('int unshare(int flags)'),
  socket: libc.func('int socket(int family, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int option, const void *value, uint length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int option, void *value, void *length)'),
  ioctl: libc.func('int ioctl(int fd, ulong request, _Inout_ void *argument)'),
  send: libc.func('long send(int fd, const void *bytes, size_t length, int flags)'),
  recv: libc.func('long recv(int fd, void *bytes, size_t length, int flags)'),
  connect: libc.func('int connect(int fd, const void *address, uint length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  accept4: libc.func('int accept4(int fd, void *address, void *length, int flags)'),
  recvmmsg: libc.func('int recvmmsg(int fd, void *messages, uint count, int flags, void *timeout)'),
  sendmmsg: libc.func('int sendmmsg(int fd, void *messages, uint count, int flags)'),
  mount: libc.func('int mount(const char *source, const char *at, const char *type, ulong flags, const char *options)'),
  umount2: libc.func('int umount2(const char *at, int flags)'),
  vsnprintf: libc.func('int vsnprintf(void *buffer, size_t size, const char *format, void *arguments)'),
}

const check = (result: number, call: string): number => {
  if (result < 0) throw new KernelError(call, koffi.errno())
  return result
}

/** The address of bytes, to be put into a kernel structure. The caller keeps the bytes referenced while it is used. */
export const addressOf = (bytes: ArrayBufferView | ArrayBuffer): bigint => koffi.address(bytes)

const SYS_BPF = process.arch === 'arm64' ? 280 : 321

/** bpf(2) with a prepared attribute; returns what the kernel returned, or the negated errno. */
export function bpfTry(command: number, attribute: bigint, size: number): number {
  const result: number = native.syscall(SYS_BPF, command, attribute, size)
  return result < 0 ? -koffi.errno() : result
}

/** bpf(2) for everything that is not hot: `call` names it in the error. */
export function bpf(command: number, attribute: Uint8Array, call: string): number {
  const result = bpfTry(command, addressOf(attribute), attribute.byteLength)
  if (result < 0) throw new KernelError(call, -result)
  return result
}

/** A bpf_attr under construction: fields by offset, as <linux/bpf.h> lays them out. */
export class Attribute {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly address: bigint
  private readonly kept: unknown[] = []
  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size))
    this.view = new DataView(this.bytes.buffer)
    this.address = addressOf(this.bytes)
  }
  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true)
    return this
  }
  u64(offset: number, value: bigint): this {
    this.view.setBigUint64(offset, value, true)
    return this
  }
  /** A pointer to bytes, which live as long as this attribute. */
  pointer(offset: number, bytes: ArrayBufferView): this {
    this.kept.push(bytes)
    return this.u64(offset, addressOf(bytes))
  }
}

export const PROT_READ = 1
export const PROT_WRITE = 2
const MAP_SHARED = 1

/** Memory shared with the kernel. A write to a mapping made without PROT_WRITE kills the process. */
export interface Mapping {
  readonly bytes: ArrayBuffer
  /** Afterwards no view of `bytes` may be touched. */
  unmap(): void
}

export function mapMemory(fd: number, length: number, protection: number, offset: number): Mapping {
  const address: number | bigint = native.mmap(0n, length, protection, MAP_SHARED, fd, offset)
  if (Number(address) === -1) throw new KernelError(`mmap of ${length} bytes`, koffi.errno())
  return {
    bytes: koffi.view(BigInt(address), length),
    unmap: () => void check(native.munmap(BigInt(address), length), 'munmap'),
  }
}

const AF_INET = 2
const SOCK_DGRAM = 2
const SOL_SOCKET = 1
/** Linux 5.14 */
const SO_NETNS_COOKIE = 71
const SIOCGIFFLAGS = 0x8913
const SIOCGIFINDEX = 0x8933
const IFF_UP = 1
const IFREQ_SIZE = 40
const IFREQ_NAME = 16

export const close = (fd: number): void => closeSync(fd)

export const setns = (fd: number, type: number): void => void check(native.setns(fd, type), 'setns')
/** Moves this process (its main thread) into new namespaces; used by tests to make a network namespace. */
export const unshare = (flags: number): void => void check(native.unshare(flags), 'unshare')

export const socket = (family: number, type: number, protocol: number): number =>
  check(native.socket(family, type, protocol), 'socket')
export const bind = (fd: number, address: Uint8Array): void =>
  void check(native.bind(fd, address, address.byteLength), 'bind')
/** What programs at sockets know the network namespace of this thread by. */
export function networkCookie(): number {
  const fd = socket(AF_INET, SOCK_DGRAM, 0)
  try {
    const value = new BigUint64Array(1)
    check(native.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, new Uint32Array([8])), 'getsockopt')
    return Number(value[0])
  } finally {
    close(fd)
  }
}
export const setSocketOption = (fd: number, level: number, option: number, value: Uint8Array): void =>
  void check(native.setsockopt(fd, level, option, value, value.byteLength), 'setsockopt')
/** The same on another thread: for a netlink request that the kernel takes its time over. Errors come with the answer. */
export const sendAside = (fd: number, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) =>
    native.send.async(fd, bytes, bytes.byteLength, 0, (error: unknown, sent: number) =>
      error || sent !== bytes.byteLength ? reject(new Error('send: the request was not taken')) : resolve(),
    ),
  )

/**
 * Index of a device by its name, in the network namespace of a socket of any kind; 0 when there is none. Unlike a query
 * by netlink it waits for no lock.
 */
export const interfaceIndex = (fd: number, name: string): number =>
  ofInterface(fd, name, SIOCGIFINDEX)?.getInt32(0, true) ?? 0

/** Whether the device of this name, there, is up; false when there is none. */
export const isUp = (fd: number, name: string): boolean =>
  ((ofInterface(fd, name, SIOCGIFFLAGS)?.getInt16(0, true) ?? 0) & IFF_UP) !== 0

function ofInterface(fd: number, name: string, request: number): DataView | undefined {
  const ifreq = new Uint8Array(IFREQ_SIZE)
  new TextEncoder().encodeInto(name, ifreq.subarray(0, IFREQ_NAME - 1))
  return native.ioctl(fd, request, ifreq) < 0 ? undefined : new DataView(ifreq.buffer, IFREQ_NAME)
}

export const send = (fd: number, bytes: Uint8Array): number =>
  check(native.send(fd, bytes, bytes.byteLength, 0), 'send')
/** Number of bytes received, or the negated errno (EAGAIN and ENOBUFS are part of ordinary life). */
export function receiveTry(fd: number, into: Uint8Array, flags: number): number {
  const result = Number(native.recv(fd, into, into.byteLength, flags))
  return result < 0 ? -koffi.errno() : result
}

/** What was made of it, or the negated errno: of a socket that does not block EINPROGRESS. */
export function connectTry(fd: number, address: Uint8Array): number {
  const result: number = native.connect(fd, address, address.byteLength)
  return result < 0 ? -koffi.errno() : result
}
export const listen = (fd: number, backlog: number): void => void check(native.listen(fd, backlog), 'listen')
/** A connection that has come, with flags for its socket; or the negated errno. */
export function acceptTry(fd: number, flags: number): number {
  const result: number = native.accept4(fd, null, null, flags)
  return result < 0 ? -koffi.errno() : result
}
/** The same for one message of a socket that does not block. */
export function sendTry(fd: number, bytes: Uint8Array): number {
  const result = Number(native.send(fd, bytes, bytes.byteLength, 0))
  return result < 0 ? -koffi.errno() : result
}
/** Number of messages taken from, or put into, an array of mmsghdr; or the negated errno. */
export function receiveMessages(fd: number, messages: Uint8Array, count: number, flags: number): number {
  const result: number = native.recvmmsg(fd, messages, count, flags, null)
  return result < 0 ? -koffi.errno() : result
}
export function sendMessages(fd: number, messages: Uint8Array, count: number, flags: number): number {
  const result: number = native.sendmmsg(fd, messages, count, flags)
  return result < 0 ? -koffi.errno() : result
}

export const mount = (source: string, at: string, type: string, flags = 0, options = ''): void =>
  void check(native.mount(source, at, type, flags, options), `mount ${type} on ${at}`)
export const unmount = (at: string, flags = 0): void => void check(native.umount2(at, flags), `umount ${at}`)

/** Calls `ready` on the event loop whenever the descriptor can be read, until `close`, or until nobody holds the result. */
export function watchReadable(fd: number, ready: () => void): { close(): void } {
  const handle = koffi.node.poll(fd, { readable: true }, ready)
  return {
    close: () => {
      handle.stop()
      handle.close()
    },
  }
}

type Pointer = bigint | null

function loadLibbpf() {
  let library: ReturnType<typeof koffi.load>
  try {
    library = koffi.load('libbpf.so.1')
  } catch (cause) {
    throw new Error('libbpf.so.1 is missing: install libbpf1 (Debian: apt-get install libbpf1)', { cause })
  }
  koffi.proto('int LibbpfPrint(int level, const char *format, void *arguments)')
  return {
    setPrint: library.func('void *libbpf_set_print(LibbpfPrint *print)'),
    openFile: library.func('bpf_object__open_file', 'uint64_t', ['str', 'uint64_t']) as (
      p: string,
      o: bigint,
    ) => Pointer,
    load: library.func('bpf_object__load', 'int', ['uint64_t']) as (object: bigint) => number,
    close: library.func('bpf_object__close', 'void', ['uint64_t']) as (object: bigint) => void,
    btf: library.func('bpf_object__btf', 'uint64_t', ['uint64_t']) as (object: bigint) => bigint,
    btfBytes: library.func('btf__raw_data', 'uint64_t', ['uint64_t', 'void *']) as (
      b: bigint,
      size: Uint32Array,
    ) => bigint,
    nextMap: library.func('bpf_object__next_map', 'uint64_t', ['uint64_t', 'uint64_t']) as NextOf,
    nextProgram: library.func('bpf_object__next_program', 'uint64_t', ['uint64_t', 'uint64_t']) as NextOf,
    mapName: library.func('bpf_map__name', 'str', ['uint64_t']) as (map: bigint) => string,
    mapFd: library.func('bpf_map__fd', 'int', ['uint64_t']) as (map: bigint) => number,
    mapInitialValue: library.func('bpf_map__initial_value', 'uint64_t', ['uint64_t', 'void *']) as (
      map: bigint,
      size: BigUint64Array,
    ) => bigint,
    setMaxEntries: library.func('bpf_map__set_max_entries', 'int', ['uint64_t', 'uint']) as (
      m: bigint,
      n: number,
    ) => number,
    setPinPath: library.func('bpf_map__set_pin_path', 'int', ['uint64_t', 'str']) as (
      m: bigint,
      p: string | null,
    ) => number,
    pinPath: library.func('bpf_map__pin_path', 'str', ['uint64_t']) as (map: bigint) => string | null,
    reuseFd: library.func('bpf_map__reuse_fd', 'int', ['uint64_t', 'int']) as (map: bigint, fd: number) => number,
    programName: library.func('bpf_program__name', 'str', ['uint64_t']) as (program: bigint) => string,
    programFd: library.func('bpf_program__fd', 'int', ['uint64_t']) as (program: bigint) => number,
    setAutoload: library.func('bpf_program__set_autoload', 'int', ['uint64_t', 'bool']) as (
      p: bigint,
      on: boolean,
    ) => number,
  }
}
type NextOf = (object: bigint, previous: bigint) => number | bigint

let loaded: ReturnType<typeof loadLibbpf> | undefined
/** What libbpf said since the last call of `takeMessages`: its own words on why an object does not load. */
let messages: string[] = []

/** libbpf, loaded on first use; programs that only speak netlink never pay for it. */
export function libbpf(): ReturnType<typeof loadLibbpf> {
  if (loaded) return loaded
  loaded = loadLibbpf()
  const line = new Uint8Array(new ArrayBuffer(4096))
  const decoder = new TextDecoder()
  const print = (level: number, format: string, args: bigint): number => {
    if (level > 0 || messages.length > 200) return 0 // 0 is LIBBPF_WARN
    const length: number = native.vsnprintf(line, line.byteLength, format, args)
    messages.push(decoder.decode(line.subarray(0, Math.min(length, line.byteLength - 1))).trim())
    return 0
  }
  loaded.setPrint(koffi.register(print, 'LibbpfPrint *'))
  return loaded
}

export function takeMessages(): readonly string[] {
  const taken = messages
  messages = []
  return taken
}

/** Memory that belongs to a library, as bytes; valid only while the library keeps it. */
export const foreignBytes = (address: bigint, length: number): Uint8Array => new Uint8Array(koffi.view(address, length))
export const lastErrno = (): number => koffi.errno()
