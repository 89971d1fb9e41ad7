// SPDX-License-Identifier: Apache-2.0
// The program that runs inside the pods of these tests.
//   serve PORT[@ADDRESS]...  echoes TCP and UDP there; UDP 'whoami' is answered with the asker's address, 'much' with 4000
//                            bytes
//   ask                      reads questions, a line each: NUMBER VERB HOST PORT BYTES MILLISECONDS, answers NUMBER TEXT
//     tcp        sends, reads the echo, compares: 'same' and the peer's address as getpeername has it
//     udp        the same in one datagram; '?' for BYTES asks whoami, '!' for much, which is counted; ends with the
//                address that answered
//     connected  the same from a connected socket
//     HOST may be FROM>TO: asked from an address of its own.
//   An error is an answer too: its code; 'ended after N bytes' if the other side had no more to say; 'timeout' if nothing
//   came in time.
import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6 } from 'node:net'
import { createInterface } from 'node:readline'

const code = (error: Error): string => ('code' in error ? String(error.code) : error.message)

function answers(data: Buffer, from: string): Buffer | string {
  const text = data.toString('latin1')
  return text === 'whoami' ? from.replace('::ffff:', '') : text === 'much' ? Buffer.alloc(4000, 'x') : data
}

function serve(wheres: readonly string[]): void {
  let waiting = wheres.length * 2
  const listening = () => --waiting || process.stdout.write('ready\n')
  for (const where of wheres) {
    const [port, host = '::'] = where.split('@')
    createServer((socket) => void socket.pipe(socket).on('error', () => socket.destroy())).listen(
      Number(port),
      host,
      listening,
    )
    const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4', (data, from) =>
      udp.send(answers(data, from.address), from.port, from.address),
    )
    udp.bind(Number(port), host, listening)
  }
}

function answer(line: string): void {
  const [number, verb = '', hosts = '', port = '', size = '', patience = ''] = line.split(' ')
  const [host = '', from] = hosts.split('>').reverse()
  let open = true
  const say = (text: string): void => {
    if (!open) return
    open = false
    clearTimeout(timer)
    process.stdout.write(`${number} ${text}\n`)
    close()
  }
  let close = (): void => {}
  const timer = setTimeout(() => say('timeout'), Number(patience))
  const data = size === '?' ? Buffer.from('whoami') : size === '!' ? Buffer.from('much') : randomBytes(Number(size))
  if (verb === 'tcp') {
    const [sent, got] = [createHash('sha1').update(data).digest('hex'), createHash('sha1')]
    let left = data.length
    const socket = connect({ port: Number(port), host, ...(from === undefined ? {} : { localAddress: from }) }, () =>
      socket.write(data),
    )
    close = () => socket.destroy()
    const peer = () => String(socket.remoteAddress)
    socket.on('error', (error) => say(code(error)))
    socket.on('end', () => say(`ended after ${data.length - left} bytes`))
    socket.on('data', (part) => {
      got.update(part)
      left -= part.length
      if (left <= 0) say(`${got.digest('hex') === sent ? 'same' : 'different'} ${peer()}`)
    })
  } else {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    close = () => socket.close()
    socket.on('error', (error) => say(code(error)))
    socket.on('message', (got, from) =>
      say(
        `${size === '?' ? got.toString() : size === '!' ? got.length : got.equals(data) ? 'same' : 'different'} ${from.address}`,
      ),
    )
    const send = () => {
      if (verb === 'udp') socket.send(data, Number(port), host)
      else socket.connect(Number(port), host, () => socket.send(data))
    }
    if (from === undefined) send()
    else socket.bind(0, from, send)
  }
}

const [verb = '', ...rest] = process.argv.slice(2)
if (verb === 'serve') serve(rest)
else createInterface({ input: process.stdin }).on('line', answer)
