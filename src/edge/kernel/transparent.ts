// SPDX-License-Identifier: Apache-2.0
// Sockets of a proxy: they take what is meant for others, and speak in others' names (IP_TRANSPARENT). Their marks tell
// the datapath whose rules they stand for. All of them need CAP_NET_ADMIN, the raw ones CAP_NET_RAW too.
import { randomInt } from 'node:crypto'
import { type Address, address, isIpv4 } from '../../base/ip.ts'
import { AF_INET, AF_INET6, type Place, socketAddress } from './messages.ts'
import {
  addressOf,
  bind,
  close,
  connectTry,
  errnoNumber,
  KernelError,
  listen,
  setSocketOption,
  socket,
} from './syscall.ts'

const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0x800, CLOEXEC: 0x80000 } as const
const IPPROTO_UDP = 17
const SOL = { SOCKET: 1, IP: 0, IPV6: 41 } as const
const SO = { REUSEADDR: 2, RCVBUF: 8, ATTACH_FILTER: 26, RCVBUFFORCE: 33, MARK: 36 } as const
const IP = { TRANSPARENT: 19, RECVORIGDSTADDR: 20, BIND_ADDRESS_NO_PORT: 24, LOCAL_PORT_RANGE: 51 } as const
const IPV6 = { V6ONLY: 26, RECVORIGDSTADDR: 74, TRANSPARENT: 75 } as const

const loopback = { 4: address('127.0.0.1'), 6: address('::1') } as const
const familyOf = (of: Address): 4 | 6 => (isIpv4(of) ? 4 : 6)
const int = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer)

function opened(type: number, family: 4 | 6, protocol: number, mark: number, prepare: (fd: number) => void): number {
  const fd = socket(family === 4 ? AF_INET : AF_INET6, type | SOCK.NONBLOCK | SOCK.CLOEXEC, protocol)
  try {
    if (mark !== 0) setSocketOption(fd, SOL.SOCKET, SO.MARK, int(mark))
    prepare(fd)
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

function setTransparent(fd: number, family: 4 | 6): void {
  if (family === 4) setSocketOption(fd, SOL.IP, IP.TRANSPARENT, int(1))
  else setSocketOption(fd, SOL.IPV6, IPV6.TRANSPARENT, int(1))
}

/** A UDP socket on the loopback for datagrams to anybody; each comes with the destination it had. */
export const openUdpListener = (family: 4 | 6, port: number, mark: number): number =>
  opened(SOCK.DGRAM, family, 0, mark, (fd) => {
    setTransparent(fd, family)
    if (family === 4) setSocketOption(fd, SOL.IP, IP.RECVORIGDSTADDR, int(1))
    else {
      setSocketOption(fd, SOL.IPV6, IPV6.V6ONLY, int(1))
      setSocketOption(fd, SOL.IPV6, IPV6.RECVORIGDSTADDR, int(1))
    }
    // A burst of questions while something else is done; more than the machine's limit where that is allowed.
    setSocketOption(fd, SOL.SOCKET, SO.RCVBUFFORCE, int(4 << 20))
    bind(fd, socketAddress({ address: loopback[family], port }))
  })

/** A TCP socket that listens on the loopback for connections to anybody: to be handed to a server of Node. */
export const openTcpListener = (family: 4 | 6, port: number, mark: number): number =>
  opened(SOCK.STREAM, family, 0, mark, (fd) => {
    setTransparent(fd, family)
    if (family === 6) setSocketOption(fd, SOL.IPV6, IPV6.V6ONLY, int(1))
    setSocketOption(fd, SOL.SOCKET, SO.REUSEADDR, int(1))
    bind(fd, socketAddress({ address: loopback[family], port }))
    listen(fd, 1024)
  })

/** What a datagramWriter writes to. It receives nothing. */
export const openRawUdp = (family: 4 | 6, mark: number): number =>
  opened(SOCK.RAW, family, IPPROTO_UDP, mark, (fd) => {
    const nothing = new Uint8Array(new ArrayBuffer(8))
    nothing[0] = 6 // BPF_RET | BPF_K, 0 bytes
    const program = new Uint8Array(new ArrayBuffer(16))
    const view = new DataView(program.buffer)
    view.setUint16(0, 1, true)
    view.setBigUint64(8, addressOf(nothing), true)
    setSocketOption(fd, SOL.SOCKET, SO.ATTACH_FILTER, program)
    setTransparent(fd, family)
  })

/** A UDP socket from `source` to one server, whose datagrams alone it takes. EADDRINUSE where the source is taken. */
export const openUdpClient = (source: Place | undefined, server: Place, mark: number): number =>
  opened(SOCK.DGRAM, familyOf(server.address), 0, mark, (fd) => {
    if (source) {
      setTransparent(fd, familyOf(server.address))
      bind(fd, socketAddress(source))
    }
    connected(fd, server)
  })

/** A TCP socket on its way to the server: to be handed to a socket of Node, which learns whether it arrives. */
export const openTcpClient = (
  source: Address | undefined,
  ports: readonly [number, number],
  server: Place,
  mark: number,
): number =>
  opened(SOCK.STREAM, familyOf(server.address), 0, mark, (fd) => {
    if (source) {
      setTransparent(fd, familyOf(server.address))
      setSocketOption(fd, SOL.IP, IP.BIND_ADDRESS_NO_PORT, int(1))
      bind(
        fd,
        socketAddress({ address: source, port: setPortRange(fd, ports) ? 0 : randomInt(ports[0], ports[1] + 1) }),
      )
    }
    connected(fd, server)
  })

/** Before Linux 6.3 a socket has no range of its own. */
function setPortRange(fd: number, [low, high]: readonly [number, number]): boolean {
  try {
    setSocketOption(fd, SOL.IP, IP.LOCAL_PORT_RANGE, int(high * 65536 + low))
    return true
  } catch (e) {
    if (e instanceof KernelError && e.code === 'ENOPROTOOPT') return false
    throw e
  }
}

function connected(fd: number, server: Place): void {
  const result = connectTry(fd, socketAddress(server))
  if (result < 0 && -result !== errnoNumber('EINPROGRESS')) throw new KernelError('connect', -result)
}
