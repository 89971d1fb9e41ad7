// SPDX-License-Identifier: Apache-2.0
// Programs of the tests of names.
//   names.js serve           a name server: nN.test has an IPv4 and an IPv6 address of its own, aN.test is an alias of
//                            nN.test, big.test has more addresses than a datagram holds. Answers live for a minute.
//   names.js look FIRST COUNT MILLISECONDS PORT SERVER   resolves nN.test from FIRST on, one after the other, IPv4 of the even ones,
//                            IPv6 of the odd, and sends each address one datagram at once; COUNT -: of 200 names until its input ends.
//                            Prints {asked, failed, lost, slowest}: look-ups without an answer, datagrams without an echo.
import dgram from 'node:dgram'
import { promises as dns } from 'node:dns'
import net from 'node:net'
import packet from 'dns-packet'

const [verb, ...args] = process.argv.slice(2)

const v4 = (n) => `198.18.${(n >> 8) & 255}.${n & 255}`
const v6 = (n) => `2001:db8:7::${n.toString(16)}`
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function answer(bytes, most) {
  const query = packet.decode(bytes)
  const [question] = query.questions
  const [, kind, number] = /^([na])([0-9]+)\.test$/i.exec(question.name) ?? []
  const answers = []
  const add = (name, n) => {
    if (question.type === 'A') answers.push({ type: 'A', name, ttl: 60, data: v4(n) })
    if (question.type === 'AAAA') answers.push({ type: 'AAAA', name, ttl: 60, data: v6(n) })
  }
  if (kind?.toLowerCase() === 'a')
    answers.push({ type: 'CNAME', name: question.name, ttl: 60, data: `n${number}.test` })
  if (kind) add(kind === 'a' ? `n${number}.test` : question.name, Number(number))
  if (question.name === 'big.test') for (let n = 0; n < 200; n++) add('big.test', 40000 + n)
  const of = (flags, list) =>
    packet.encode({
      type: 'response',
      id: query.id,
      flags: 0x180 | flags | (kind || list.length > 0 || question.name === 'big.test' ? 0 : 3),
      questions: query.questions,
      answers: list,
      additionals: query.additionals.filter((a) => a.type === 'OPT'),
    })
  const whole = of(0, answers)
  return whole.length > most ? of(0x200, []) : whole
}

function serve() {
  const udp = dgram.createSocket('udp6', (bytes, from) => udp.send(answer(bytes, 1232), from.port, from.address))
  udp.bind(53, '::')
  net
    .createServer((socket) => {
      let rest = Buffer.alloc(0)
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk) => {
        rest = Buffer.concat([rest, chunk])
        while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
          const length = rest.readUInt16BE(0)
          const reply = answer(rest.subarray(2, 2 + length), 65535)
          const head = Buffer.alloc(2)
          head.writeUInt16BE(reply.length)
          // Answers overtake each other: every other one waits.
          const late = reply[1] % 2 === 0
          setTimeout(() => socket.write(Buffer.concat([head, reply])), late ? 20 : 0)
          rest = rest.subarray(2 + length)
        }
      })
    })
    .listen(53, '::')
}

async function look([first, count, patience, port, server]) {
  const resolver = new dns.Resolver({ timeout: 2000, tries: 3 })
  resolver.setServers([server])
  const result = { asked: 0, failed: 0, lost: 0, slowest: 0, errors: {} }
  let over = false
  if (count === '-') process.stdin.on('end', () => (over = true)).resume()
  const sockets = { 4: dgram.createSocket('udp4'), 6: dgram.createSocket('udp6') }
  let echoed = () => {}
  for (const socket of Object.values(sockets)) {
    socket.on('message', (bytes) => echoed(bytes.toString()))
    socket.on('error', () => {})
  }
  for (let i = 0; count === '-' ? !over : i < Number(count); i++) {
    const n = Number(first) + (count === '-' ? i % 200 : i)
    const family = n % 2 === 0 ? 4 : 6
    const started = performance.now()
    result.asked++
    let address
    try {
      ;[address] = family === 4 ? await resolver.resolve4(`n${n}.test`) : await resolver.resolve6(`n${n}.test`)
    } catch (e) {
      result.failed++
      result.errors[e.code] = (result.errors[e.code] ?? 0) + 1
      continue
    }
    result.slowest = Math.max(result.slowest, Math.round(performance.now() - started))
    const word = `${n} ${i}`
    const came = new Promise((resolve) => (echoed = (text) => text === word && resolve(true)))
    sockets[family].send(word, Number(port), address)
    if (!(await Promise.race([came, sleep(Number(patience)).then(() => false)]))) result.lost++
    if (count === '-') await sleep(5)
  }
  console.log(JSON.stringify(result))
  process.exit(0)
}

if (verb === 'serve') serve()
else look(args)
