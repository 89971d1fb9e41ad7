// SPDX-License-Identifier: Apache-2.0
// A proxy that lets everything pass: `proxy.ts PORT egress|ingress`. It prints a line for each question and connection, and for what it
// could not do.
import net from 'node:net'
import { address, printAddress } from '../../../src/base/ip.ts'
import { datagramReader, datagramWriter, type Received } from '../../../src/edge/kernel/messages.ts'
import { close, receiveTry, sendTry, watchReadable } from '../../../src/edge/kernel/syscall.ts'
import {
  openRawUdp,
  openTcpClient,
  openTcpListener,
  openUdpClient,
  openUdpListener,
} from '../../../src/edge/kernel/transparent.ts'

const port = Number(process.argv[2])
const [downRole, upRole] = process.argv[3] === 'ingress' ? [0xc00, 0xa00] : [0xd00, 0xb00]
const down = port * 65536 + downRole
const up = port * 65536 + upRole
/** Long enough that a test can change policy before the answer passes. */
const HOLD_MS = 50
const read = datagramReader(8, 65535)
const write = datagramWriter(8)

function ask(question: Received, raw: number): void {
  process.stdout.write(`udp ${printAddress(question.from.address)} ${printAddress(question.to.address)}\n`)
  const source = { address: question.from.address, port: 20000 + Math.floor(Math.random() * 10000) }
  const fd = openUdpClient(source, question.to, up)
  const watched = watchReadable(fd, () => {
    const bytes = new Uint8Array(new ArrayBuffer(65535))
    const got = receiveTry(fd, bytes, 0x40)
    watched.close()
    close(fd)
    if (got < 0) return void process.stdout.write(`error ${got}\n`)
    setTimeout(() => write(raw, [{ from: question.to, to: question.from, bytes: bytes.slice(0, got) }]), HOLD_MS)
  })
  sendTry(fd, question.bytes)
}

/** Kept, because a watch that nobody holds ends with the next collection of garbage. */
export const watched: object[] = []
for (const family of [4, 6] as const) {
  const fd = openUdpListener(family, port, down)
  const raw = openRawUdp(family, down)
  watched.push(
    watchReadable(fd, () => {
      for (const question of read(fd)) ask(question, raw)
    }),
  )
  net
    .createServer((client) => {
      const { remoteAddress = '', localAddress = '', localPort = 0 } = client
      process.stdout.write(`tcp ${remoteAddress} ${localAddress}\n`)
      const server = new net.Socket({
        fd: openTcpClient(
          address(remoteAddress),
          [25000, 29999],
          { address: address(localAddress), port: localPort },
          up,
        ),
      })
      server.on('error', (error) => {
        process.stdout.write(`error ${error.message}\n`)
        client.destroy()
      })
      client.on('error', () => server.destroy())
      client.pipe(server).pipe(client)
    })
    .listen({ fd: openTcpListener(family, port, down) })
}
process.stdout.write('ready\n')
