// SPDX-License-Identifier: Apache-2.0
// The client's side of talk.ts, and of the restart test: `http URL` asks for each line of its input on one connection;
// `load URL SECONDS` asks as fast as it may on several, kept alive and new, and tells at the end what failed.
import http from 'node:http'
import http2 from 'node:http2'
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
} else if (what === 'load') {
  const end = Date.now() + Number(more) * 1000
  const result = { asked: 0, failed: 0, errors: {}, slowest: 0, streamed: 0, streamsCut: 0 }
  const note = (answer, began) => {
    result.asked++
    result.slowest = Math.max(result.slowest, Date.now() - began)
    if (answer.status === 200) return
    result.failed++
    const kind = String(answer.error ?? answer.status)
    result.errors[kind] = (result.errors[kind] ?? 0) + 1
  }
  const worker = async (keepAlive, pause) => {
    const agent = new http.Agent({ keepAlive, maxSockets: 1 })
    while (Date.now() < end) {
      const began = Date.now()
      let answer = await ask(agent, '/a')
      // A server may close a kept connection at any moment: what was not sent is sent again, as every client does.
      if (answer.error === 'ECONNRESET' && answer.reused) answer = await ask(agent, '/a')
      note(answer, began)
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
    agent.destroy()
  }
  const stream = () =>
    new Promise((resolve) => {
      const request = http.get({ ...options, path: '/stream' }, (response) => {
        response.on('data', () => result.streamed++)
        const cut = () => {
          if (Date.now() < end) result.streamsCut++
          resolve()
        }
        response.on('close', cut)
        response.on('error', () => {})
        setTimeout(() => request.destroy(), end - Date.now())
      })
      request.on('error', resolve)
    })
  await Promise.all([worker(true, 5), worker(true, 20), worker(false, 15), worker(false, 40), stream()])
  console.log(JSON.stringify(result))
}
