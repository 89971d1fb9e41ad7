// SPDX-License-Identifier: Apache-2.0
// The client's side of talk.ts, and of the restart test: `http URL` asks for each line of its input on one connection;
// `fresh URL COUNT` asks so many times, each time on a new connection;
// `load URL SECONDS` asks until its input ends, on connections kept alive and new ones, with answers that go on for so
// many seconds beside, and tells at the end what failed.
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { createInterface } from 'node:readline'

const [what, url = '', more = ''] = process.argv.slice(2)
const target = new URL(url)
const options = { host: target.hostname.replace(/^\[|\]$/g, ''), port: target.port || 80 }

const ask = (agent, path, timeout = 10_000) =>
  new Promise((resolve) => {
    const request = http.get({ ...options, path, agent, timeout }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode, body, closes: response.headers.connection === 'close' }),
      )
      response.on('error', (e) => resolve({ error: e.code ?? e.message }))
    })
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', (e) => resolve({ error: e.code ?? e.message, reused: request.reusedSocket }))
  })

if (what === 'http') {
  let connections = 0
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    connections++
    return create(...args)
  }
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'connections') console.log(connections)
    else {
      const answer = await ask(agent, line)
      console.log(answer.error ?? answer.status)
    }
  }
  agent.destroy()
} else if (what === 'grpc') {
  const session = http2.connect(url)
  const call = session.request({ ':method': 'POST', ':path': more, 'content-type': 'application/grpc', te: 'trailers' })
  let status
  const note = (headers) => (status ??= headers['grpc-status'])
  call.on('response', note)
  call.on('trailers', note)
  call.on('data', () => {})
  call.on('close', () => {
    console.log(status)
    session.close()
  })
  call.end(Buffer.from([0, 0, 0, 0, 1, 65]))
} else if (what === 'websocket') {
  const request = http.get({
    ...options,
    path: target.pathname,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  })
  request.on('response', (response) => {
    response.resume()
    console.log(JSON.stringify({ status: response.statusCode, echo: '' }))
  })
  request.on('upgrade', (response, socket) => {
    socket.write('hello')
    socket.on('data', (bytes) => {
      console.log(JSON.stringify({ status: response.statusCode, echo: String(bytes) }))
      socket.destroy()
    })
  })
} else if (what === 'fresh') {
  let left = Number(more)
  const seen = {}
  // Thousands: by bare sockets, which cost a machine half as much.
  const once = () =>
    new Promise((resolve) => {
      let answer = ''
      const socket = net.connect({ host: options.host, port: Number(options.port) })
      socket.setTimeout(10_000, () => socket.destroy(new Error('timeout')))
      socket.on('connect', () => socket.write(`GET /a HTTP/1.1\r\nhost: ${target.host}\r\nconnection: close\r\n\r\n`))
      socket.on('data', (chunk) => (answer += chunk))
      socket.on('error', (e) => resolve(e.code ?? e.message))
      socket.on('close', () => resolve(answer.startsWith('HTTP/1.1 200 ') ? 200 : answer))
    })
  const one = async () => {
    while (left-- > 0) {
      const kind = await once()
      seen[kind] = (seen[kind] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 8 }, one))
  console.log(JSON.stringify(seen))
} else if (what === 'load') {
  let over = false
  const result = { asked: 0, failed: 0, reset: 0, errors: {}, slowest: 0, streams: 0, cut: 0 }
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const note = (answer, began) => {
    result.asked++
    result.slowest = Math.max(result.slowest, Date.now() - began)
    if (answer.status === 200) return
    result.failed++
    // Envoy's answer says why it could not pass the request on.
    const kind = answer.error ?? `${answer.status} ${answer.body}`
    result.errors[kind] = (result.errors[kind] ?? 0) + 1
  }
  const worker = async (keepAlive, ms) => {
    const agent = new http.Agent({ keepAlive, maxSockets: 1 })
    while (!over) {
      const began = Date.now()
      let answer = await ask(agent, '/a')
      // A server may close a kept connection at any moment: what was not sent is sent again, as every client does.
      if (answer.error === 'ECONNRESET' && answer.reused) {
        result.reset++
        answer = await ask(agent, '/a')
      }
      note(answer, began)
      await pause(ms)
    }
    agent.destroy()
  }
  /** One answer that goes on for `more` seconds, again and again; the client ends it. */
  const stream = () =>
    new Promise((resolve) => {
      let ended = false
      const request = http.get({ ...options, path: '/stream' }, (response) => {
        const timer = setTimeout(() => {
          ended = true
          request.destroy()
        }, Number(more) * 1000)
        response.resume()
        response.on('error', () => {})
        response.on('close', () => {
          clearTimeout(timer)
          result.streams++
          if (!ended || response.statusCode !== 200) result.cut++
          resolve()
        })
      })
      request.on('error', (error) => {
        if (!ended) note({ error: error.code ?? error.message }, Date.now())
        resolve()
      })
    })
  const streams = async () => {
    while (!over) await stream()
  }
  process.stdin.on('end', () => (over = true)).resume()
  console.log('ready')
  await Promise.all([worker(true, 5), worker(true, 20), worker(false, 15), worker(false, 40), streams(), streams()])
  console.log(JSON.stringify(result))
}
