// SPDX-License-Identifier: Apache-2.0
// Echoes datagrams to any address of this machine, from the address that was asked: `echo.ts PORT`. Whole prefixes are
// its own by a local route, so that there may be as many addresses as a test has names.
import { address } from '../../../src/base/ip.ts'
import { datagramReader, datagramWriter, socketAddress } from '../../../src/edge/kernel/messages.ts'
import { bind, setSocketOption, socket, watchReadable } from '../../../src/edge/kernel/syscall.ts'
import { openRawUdp } from '../../../src/edge/kernel/transparent.ts'

const port = Number(process.argv[2])
const on = Uint8Array.of(1, 0, 0, 0)
const DATAGRAM_NONBLOCKING = 0x802
const read = datagramReader(32, 2048)
const write = datagramWriter(32)
const watched: object[] = []

for (const [family, domain, level, option, any] of [
  [4, 2, 0, 20, '0.0.0.0'],
  [6, 10, 41, 74, '::'],
] as const) {
  const fd = socket(domain, DATAGRAM_NONBLOCKING, 0)
  if (family === 6) setSocketOption(fd, level, 26, on) // IPV6_V6ONLY
  setSocketOption(fd, level, option, on) // IP_RECVORIGDSTADDR
  bind(fd, socketAddress({ address: address(any), port }))
  const raw = openRawUdp(family, 0)
  const echo = () =>
    write(
      raw,
      read(fd).map(({ from, to, bytes }) => ({ from: to, to: from, bytes })),
    )
  watched.push(watchReadable(fd, echo))
}
process.stdout.write('ready\n')
// What waits for packets does not keep a process alive, nor itself.
setInterval(() => watched, 60_000)
