// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the protocol files of Envoy's API out of the npm package @grpc/grpc-js-xds (fetched into .cache with `npm pack`
 * when it is not there) and writes the messages that can be reached from those we use to gen/envoy/messages.ts.
 *
 * Usage: node tools/envoy-messages.ts
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const version = '1.14.1'
const cache = join(root, '.cache/grpc-js-xds')

/** Messages that others are reached from, and the files they are in. */
const roots: Readonly<Record<string, string>> = {
  'envoy.service.discovery.v3.DeltaDiscoveryRequest': 'envoy/service/discovery/v3/discovery.proto',
  'envoy.service.discovery.v3.DeltaDiscoveryResponse': 'envoy/service/discovery/v3/discovery.proto',
  'envoy.service.accesslog.v3.StreamAccessLogsMessage': 'envoy/service/accesslog/v3/als.proto',
  'envoy.service.runtime.v3.Runtime': 'envoy/service/runtime/v3/rtds.proto',
  'envoy.config.listener.v3.Listener': 'envoy/config/listener/v3/listener.proto',
  'envoy.config.route.v3.RouteConfiguration': 'envoy/config/route/v3/route.proto',
  'envoy.config.cluster.v3.Cluster': 'envoy/config/cluster/v3/cluster.proto',
  'envoy.config.endpoint.v3.ClusterLoadAssignment': 'envoy/config/endpoint/v3/endpoint.proto',
  'envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig':
    'envoy/extensions/access_loggers/grpc/v3/als.proto',
  'envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig': 'envoy/extensions/access_loggers/grpc/v3/als.proto',
  'envoy.extensions.filters.http.router.v3.Router': 'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy.extensions.filters.listener.original_dst.v3.OriginalDst':
    'envoy/extensions/filters/listener/original_dst/v3/original_dst.proto',
  'envoy.extensions.filters.listener.original_src.v3.OriginalSrc':
    'envoy/extensions/filters/listener/original_src/v3/original_src.proto',
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector':
    'envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager':
    'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy':
    'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig':
    'envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.proto',
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext':
    'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext': 'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy.extensions.transport_sockets.tls.v3.Secret': 'envoy/extensions/transport_sockets/tls/v3/secret.proto',
  'envoy.extensions.filters.network.rbac.v3.RBAC': 'envoy/extensions/filters/network/rbac/v3/rbac.proto',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions':
    'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
}

/** Not followed: nothing of ours sets them, and half of the API hangs on them. */
const left = new Set([
  'envoy.config.trace.v3.Tracing',
  'envoy.config.core.v3.HealthCheck',
  'envoy.config.route.v3.RateLimit',
  'envoy.config.core.v3.GrpcService.GoogleGrpc',
  'google.api.expr.v1alpha1.Expr',
  'google.api.expr.v1alpha1.CheckedExpr',
])

interface Message {
  readonly fields: { readonly name: string; readonly number: number; readonly type: string; readonly list: boolean }[]
}
const messages = new Map<string, Message>()
const enums = new Map<string, readonly string[]>()
const scopes = new Map<Message, string>()
const scalars: Readonly<Record<string, string>> = {
  string: 's',
  bytes: 'y',
  bool: 'b',
  double: 'd',
  float: 'f',
  int32: 'i',
  int64: 'i',
  uint32: 'i',
  uint64: 'i',
  fixed32: 'x',
}

const read = new Set<string>()
const places = ['envoy-api', 'xds', 'protoc-gen-validate', 'googleapis'].map((p) => join(cache, 'package/deps', p))

function readFile(name: string): void {
  if (read.has(name)) return
  read.add(name)
  const path = places.map((p) => join(p, name)).find((p) => existsSync(p))
  if (!path) return // descriptions of descriptions
  const text = readFileSync(path, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
  for (const [, file] of text.matchAll(/^import (?:public )?"([^"]+)"/gm)) readFile(file as string)
  const tokens: readonly string[] = text.match(/"(?:[^"\\]|\\.)*"|[\w.]+|[^\s\w]/g) ?? []
  const pack = tokens[tokens.indexOf('package') + 1] as string
  let at = 0
  const next = (): string => tokens[at++] as string
  const skipBlock = () => {
    for (let depth = 1; depth > 0; ) {
      const t = next()
      if (t === '{') depth++
      else if (t === '}') depth--
    }
  }
  const skipStatement = () => {
    for (let t = next(); t !== ';'; t = next()) if (t === '{') skipBlock()
  }
  const options = () => {
    for (let t = next(), depth = 0; depth > 0 || t !== ';'; t = next()) {
      if (t === '[' || t === '{') depth++
      else if (t === ']' || t === '}') depth--
    }
  }
  function readEnum(scope: string): void {
    const name = `${scope}.${next()}`
    next()
    const values: string[] = []
    for (let t = next(); t !== '}'; t = next()) {
      if (t === 'option' || t === 'reserved') {
        skipStatement()
        continue
      }
      next()
      const sign = next()
      values.push(`${t}=${sign === '-' ? `-${next()}` : sign}`)
      options()
    }
    enums.set(name, values)
  }
  function readMessage(scope: string): void {
    const name = `${scope}.${next()}`
    next()
    const message: Message = { fields: [] }
    messages.set(name, message)
    scopes.set(message, name)
    readBody(name, message)
  }
  function readBody(name: string, message: Message): void {
    for (let t = next(); t !== '}'; t = next()) {
      if (t === ';') continue
      if (t === 'message') readMessage(name)
      else if (t === 'enum') readEnum(name)
      else if (t === 'option' || t === 'reserved' || t === 'extensions') skipStatement()
      else if (t === 'oneof') {
        next()
        next()
        readBody(name, message)
      } else {
        let type = t
        let list = false
        if (type === 'repeated') {
          list = true
          type = next()
        } else if (type === 'optional') type = next()
        if (type === 'map') {
          next()
          next()
          next()
          type = `{${next()}`
          next()
        }
        const field = next()
        next()
        const number = Number(next())
        options()
        message.fields.push({ name: field, number, type, list })
      }
    }
  }
  while (at < tokens.length) {
    const t = next()
    if (t === 'message') readMessage(pack)
    else if (t === 'enum') readEnum(pack)
    else if (t === 'service' || t === 'extend') {
      while (next() !== '{');
      skipBlock()
    } else if (t !== ';') skipStatement()
  }
}

/** The full name of a type as it is written inside `scope`. */
function resolve(scope: string, type: string): string {
  if (type.startsWith('.')) return type.slice(1)
  for (let parts = scope.split('.'); ; parts = parts.slice(0, -1)) {
    const name = [...parts, type].join('.')
    if (messages.has(name) || enums.has(name)) return name
    if (parts.length === 0) return type
  }
}

function write(): string {
  const lines: string[] = []
  const done = new Set<string>()
  const todo = Object.keys(roots)
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    if (done.has(name)) continue
    done.add(name)
    const values = enums.get(name)
    if (values) {
      lines.push([name, ...values].join(' '))
      continue
    }
    const message = messages.get(name)
    if (!message) continue
    const fields: string[] = []
    for (const { name: field, number, type, list } of message.fields) {
      if (field.startsWith('hidden_envoy_deprecated')) continue
      const map = type.startsWith('{')
      const bare = map ? type.slice(1) : type
      let target = scalars[bare]
      if (target === undefined) {
        target = resolve(name, bare)
        if (left.has(target)) continue
        todo.push(target)
      }
      fields.push(`${field},${number},${map ? '{' : list ? '[' : ''}${target}`)
    }
    lines.push([name, ...fields].join(' '))
  }
  const short = (line: string) => line.replaceAll('envoy.', '~').replaceAll('google.protobuf.', '#')
  return `${lines.map(short).sort().join('\n')}\n`
}

if (!existsSync(join(cache, 'package/deps'))) {
  mkdirSync(cache, { recursive: true })
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', `@grpc/grpc-js-xds@${version}`], { cwd: cache, encoding: 'utf8' }),
  ) as { filename: string }[]
  execFileSync('tar', ['xzf', packed?.filename as string], { cwd: cache })
}
for (const file of Object.values(roots)) readFile(file)
mkdirSync(join(root, 'gen/envoy'), { recursive: true })
writeFileSync(
  join(root, 'gen/envoy/messages.ts'),
  `// SPDX-License-Identifier: Apache-2.0
// Made by tools/envoy-messages.ts. Do not edit.
/**
 * Messages of Envoy's API v3, one a line: name, then fields as \`name,number,type\`; of enumerations \`name=number\`. Types:
 * s string, y bytes, b bool, i integer, x fixed 32 bits, d double, f float, else a message; [ list of, { map from string
 * to. ~ stands for \`envoy.\`, # for \`google.protobuf.\`.
 */
export const messages = \`
${write()}\`
`,
)
