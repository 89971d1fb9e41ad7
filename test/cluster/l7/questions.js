// SPDX-License-Identifier: Apache-2.0
// Asks for names all the time, without asking twice:   questions.js MILLISECONDS SERVER [WAIT]   (-: until its input ends)
// By UDP, by one TCP connection that stays, and by new TCP connections. Prints for each {asked, lost, wrong}: questions
// without an answer within WAIT ms (five seconds), and answers that say anything but NOERROR; and of TCP how many connections ended.
import dgram from 'node:dgram'
import net from 'node:net'
import packet from 'dns-packet'

const [milliseconds, server, wait = '5000'] = process.argv.slice(2)
const WAIT_MS = Number(wait)
const begun = performance.now()
let over = false
const on = () => !over && (milliseconds === '-' || performance.now() - begun < Number(milliseconds))
if (milliseconds === '-') process.stdin.on('end', () => (over = true)).resume()
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const question = (id) =>
  packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name: `n${id % 100}.test`, type: 'A' }],
  })

/** What became of questions that `send` sends, and a place to put their answers. */
function count() {
  const waiting = new Map()
  const result = { asked: 0, lost: 0, wrong: 0, ended: 0, slowest: 0 }
  return {
    result,
    waiting,
    ask(id, send) {
      result.asked++
      const started = performance.now()
      const end = (kind) => {
        clearTimeout(timer)
        waiting.delete(id)
        if (kind) result[kind]++
        result.slowest = Math.max(result.slowest, Math.round(performance.now() - started))
      }
      const timer = setTimeout(() => end('lost'), WAIT_MS)
      waiting.set(id, end)
      send(question(id))
    },
    take: (bytes) => waiting.get(bytes.readUInt16BE(0))?.((bytes[3] & 15) === 0 ? undefined : 'wrong'),
    lose: () => {
      for (const end of [...waiting.values()]) end('lost')
    },
  }
}

async function all(ms, counted, ask) {
  for (let id = 0; on(); id = (id + 1) & 0xffff) {
    ask(id)
    await sleep(ms)
  }
  await answered(counted)
  return counted.result
}

async function answered(counted) {
  while (counted.waiting.size > 0) await sleep(10)
}

async function udp() {
  const counted = count()
  const socket = dgram.createSocket(server.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', counted.take)
  socket.on('error', () => {})
  const result = await all(2, counted, (id) => counted.ask(id, (bytes) => socket.send(bytes, 53, server)))
  socket.close()
  return result
}

function connection(counted, ended) {
  const socket = net.connect(53, server)
  let rest = Buffer.alloc(0)
  let last = Promise.resolve()
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0)
      counted.take(rest.subarray(2, end))
      rest = rest.subarray(end)
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', ended)
  return {
    socket,
    send(bytes) {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(bytes.length)
      const whole = Buffer.concat([length, bytes])
      // In two pieces now and then: the question is not whole when it comes.
      const at = bytes[1] % 3 ? whole.length : 9
      last = last.then(() => {
        socket.write(whole.subarray(0, at))
        return new Promise((resolve) => setImmediate(() => resolve(socket.write(whole.subarray(at)))))
      })
    },
  }
}

async function staying() {
  const counted = count()
  let done = false
  let current
  const open = () =>
    (current = connection(counted, () => {
      if (done) return
      counted.result.ended++
      counted.lose()
      open()
    }))
  open()
  const result = await all(5, counted, (id) => counted.ask(id, (bytes) => current.send(bytes)))
  done = true
  current.socket.destroy()
  return result
}

async function coming() {
  const totals = { asked: 0, lost: 0, wrong: 0, ended: 0, slowest: 0 }
  const under = new Set()
  for (let id = 0; on(); id++) {
    const counted = count()
    const one = connection(counted, counted.lose)
    counted.ask(id & 0xffff, (bytes) => one.send(bytes))
    const ended = answered(counted).then(() => {
      one.socket.destroy()
      under.delete(ended)
      for (const key of ['asked', 'lost', 'wrong']) totals[key] += counted.result[key]
      totals.slowest = Math.max(totals.slowest, counted.result.slowest)
    })
    under.add(ended)
    await sleep(20)
  }
  await Promise.all(under)
  return totals
}

const [datagrams, connectionThatStays, newConnections] = await Promise.all([udp(), staying(), coming()])
console.log(JSON.stringify({ datagrams, connectionThatStays, newConnections }))
