// SPDX-License-Identifier: Apache-2.0
// The program that runs inside the pods of these tests.
//   serve PORT[@ADDRESS]...  echoes TCP and UDP there; UDP 'whoami' is answered with the asker's address
//   tcp HOST PORT BYTES      sends, reads the echo, compares: 'same' and the peer's address as getpeername has it
//   udp HOST PORT BYTES      the same in one datagram; '?' for BYTES asks whoami; ends with the address that answered
// Prints one line; an error is a line too: its code.
import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6 } from 'node:net'

const [verb = '', ...rest] = process.argv.slice(2)
const say = (line: string): never => {
  process.stdout.write(`${line}\n`)
  process.exit(0)
}
const code = (error: Error): string => ('code' in error ? String(error.code) : error.message)

if (verb === 'serve') {
  let waiting = rest.length * 2
  const listening = () => --waiting || process.stdout.write('ready\n')
  for (const where of rest) {
    const [port, host = '::'] = where.split('@')
    createServer((socket) => void socket.pipe(socket).on('error', () => socket.destroy())).listen(
      Number(port),
      host,
      listening,
    )
    const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4', (data, from) =>
      udp.send(data.toString() === 'whoami' ? from.address.replace('::ffff:', '') : data, from.port, from.address),
    )
    udp.bind(Number(port), host, listening)
  }
} else {
  const [host = '', port = '', size = ''] = rest
  setTimeout(() => say('timeout'), 1000)
  const data = size === '?' ? Buffer.from('whoami') : randomBytes(Number(size))
  if (verb === 'tcp') {
    const [sent, got] = [createHash('sha1').update(data).digest('hex'), createHash('sha1')]
    let left = data.length
    const socket = connect(Number(port), host, () => socket.write(data))
    const peer = () => String(socket.remoteAddress)
    socket.on('error', (error) => say(code(error)))
    socket.on('data', (part) => {
      got.update(part)
      left -= part.length
      if (left <= 0) say(`${got.digest('hex') === sent ? 'same' : 'different'} ${peer()}`)
    })
  } else {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    socket.on('error', (error) => say(code(error)))
    socket.on('message', (got, from) =>
      say(`${size === '?' ? got.toString() : got.equals(data) ? 'same' : 'different'} ${from.address}`),
    )
    if (verb === 'udp') socket.send(data, Number(port), host)
    else socket.connect(Number(port), host, () => socket.send(data))
  }
}
