// SPDX-License-Identifier: Apache-2.0
// `serve PORT…`: answers over TCP and UDP, both families. `probe`: for each line of its input, a JSON list of
// {address, port, protocol, patience}, a line with a JSON list that says which of them answered.
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'

const [what, ...ports] = process.argv.slice(2)
if (what === 'serve') {
  for (const port of ports.map(Number)) {
    net.createServer((socket) => socket.end('y')).listen({ port, host: '::' })
    const udp = dgram.createSocket('udp6')
    udp.on('message', (_, from) => udp.send('y', from.port, from.address))
    udp.bind(port, '::')
  }
} else {
  for await (const line of createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await Promise.all(JSON.parse(line).map(answers))))
}

function answers({ address, port, protocol, patience }) {
  return new Promise((resolve) => {
    if (protocol === 'TCP') {
      const socket = net.connect({ host: address, port, timeout: patience })
      const end = (answered) => {
        socket.destroy()
        resolve(answered)
      }
      socket.on('data', () => end(true))
      socket.on('timeout', () => end(false))
      socket.on('error', () => end(false))
      return
    }
    const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const end = (answered) => {
      clearInterval(again)
      clearTimeout(late)
      socket.close()
      resolve(answered)
    }
    const say = () => socket.send('x', port, address, () => {})
    const again = setInterval(say, 300)
    const late = setTimeout(() => end(false), patience)
    socket.on('message', () => end(true))
    socket.on('error', () => {})
    say()
  })
}
