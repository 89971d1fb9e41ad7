// SPDX-License-Identifier: Apache-2.0
// The server of the L7 tests: HTTP/1.1 and HTTP/2 without TLS on one port each, every address. It answers with what it
// saw. `/slow?ms=` answers late, `/stream` speaks for as long as it is listened to; gRPC and WebSocket as far as needed.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'

const seen = (address, method, url, headers) =>
  `${JSON.stringify({ address: address.replace(/^::ffff:/, ''), method, url, headers })}\n`

const one = http.createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://here')
  if (url.pathname === '/stream') {
    response.writeHead(200)
    const timer = setInterval(() => response.write('tick\n'), 100)
    response.on('close', () => clearInterval(timer))
    return
  }
  // Who asked may have gone meanwhile.
  const say = () => response.end(seen(request.socket.remoteAddress ?? '', request.method, request.url, request.headers))
  request.resume()
  setTimeout(say, Number(url.searchParams.get('ms') ?? 0))
})
one.on('upgrade', (request, socket) => {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
  socket.on('data', (bytes) => socket.write(bytes))
  socket.on('error', () => {})
})
one.keepAliveTimeout = 60_000
one.listen(Number(process.argv[2] ?? 80), '::')

const two = http2.createServer()
two.on('stream', (stream, headers) => {
  stream.on('error', () => {})
  const grpc = String(headers['content-type'] ?? '').startsWith('application/grpc')
  if (grpc) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.on('data', (bytes) => stream.write(bytes))
    stream.on('end', () => stream.end())
    return
  }
  stream.respond({ ':status': 200 })
  stream.end(seen(stream.session.socket.remoteAddress, headers[':method'], headers[':path'], headers))
})
// With a folder of a key and certificates also TLS, on port 443.
const [folder] = process.argv.slice(4)
if (folder) {
  const key = readFileSync(`${folder}/server.key`)
  const cert = readFileSync(`${folder}/server.crt`)
  const secure = https.createServer({ key, cert }, (request, response) =>
    response.end(seen(request.socket.remoteAddress, request.method, request.url, request.headers)),
  )
  secure.on('tlsClientError', () => {})
  secure.listen(443, '::')
}
two.listen(Number(process.argv[3] ?? 50051), '::')
