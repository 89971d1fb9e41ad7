// SPDX-License-Identifier: Apache-2.0
import { decode } from '../../protocol/xds/decode.ts'
import type { Receiver } from './grpc.ts'

/** One request as Envoy tells of it when it is over. */
export interface AccessEntry {
  /** Name of the listener. */
  readonly listener: string
  /** Name of the route that took it: of the rule that let it pass. */
  readonly route: string
  readonly source: { readonly address: string; readonly port: number }
  readonly destination: { readonly address: string; readonly port: number }
  readonly method: string
  readonly path: string
  readonly authority: string
  readonly scheme: string
  /** 'HTTP/1.1', 'HTTP/2'. */
  readonly protocol: string
  /** 0: there was no answer. */
  readonly status: number
  /** Envoy's words for how it came to the answer. */
  readonly details: string
  /** Milliseconds since the epoch, of its beginning. */
  readonly time: number
  /** Milliseconds until the last byte of the answer. */
  readonly duration: number
}

/** One connection that was asked for the name of its server only, as Envoy tells of it when it is over. */
export interface ConnectionEntry {
  /** Name of the listener. */
  readonly listener: string
  readonly refused: boolean
  /** The name that TLS was spoken to; '': none, or no TLS. */
  readonly serverName: string
  readonly source: AccessEntry['source']
  readonly destination: AccessEntry['destination']
  /** Milliseconds since the epoch, of its beginning. */
  readonly time: number
}

const MESSAGE = 'envoy.service.accesslog.v3.StreamAccessLogsMessage'
/** What is read of a message, and nothing else: one comes with each request. */
const fields: ReadonlySet<string> = new Set(
  `identifier log_name http_logs tcp_logs log_entry common_properties request response protocol_version
   downstream_remote_address downstream_local_address socket_address address port_value
   route_name start_time time_to_last_downstream_tx_byte upstream_cluster connection_termination_details
   tls_properties tls_sni_hostname request_method path authority scheme response_code response_code_details`.split(
    /\s+/,
  ),
)
const protocols: { readonly [name: string]: string } = {
  HTTP10: 'HTTP/1.0',
  HTTP11: 'HTTP/1.1',
  HTTP2: 'HTTP/2',
  HTTP3: 'HTTP/3',
}

type Json = { readonly [name: string]: unknown }
const part = (json: Json, name: string): Json => (json[name] ?? {}) as Json
const text = (json: Json, name: string): string => String(json[name] ?? '')
const number = (json: Json, name: string): number => Number(json[name] ?? 0)

/** Who wants to know of requests. */
export interface AccessSink {
  /** Whether entries are looked at. */
  readonly wanted: boolean
  take(entries: readonly AccessEntry[]): void
  takeConnections(entries: readonly ConnectionEntry[]): void
}

/** Takes one stream of access log messages; only its first says which listener it is of. */
export function accessReceiver(sink: AccessSink): Receiver {
  let listener = ''
  return {
    message(bytes) {
      if (listener !== '' && !sink.wanted) return
      const message = decode(MESSAGE, bytes, fields)
      listener = text(part(message, 'identifier'), 'log_name') || listener
      if (!sink.wanted) return
      const of = (kind: string) => (part(message, kind)['log_entry'] ?? []) as readonly Json[]
      const [requests, connections] = [of('http_logs'), of('tcp_logs')]
      if (requests.length > 0) sink.take(requests.map((e) => entryOf(listener, e)))
      if (connections.length > 0) sink.takeConnections(connections.map((e) => connectionOf(listener, e)))
    },
    ended() {},
  }
}

function entryOf(listener: string, entry: Json): AccessEntry {
  const common = part(entry, 'common_properties')
  const request = part(entry, 'request')
  const response = part(entry, 'response')
  return {
    listener,
    route: text(common, 'route_name'),
    source: place(part(common, 'downstream_remote_address')),
    destination: place(part(common, 'downstream_local_address')),
    method: text(request, 'request_method').replace(/^METHOD_UNSPECIFIED$/, ''),
    path: text(request, 'path'),
    authority: text(request, 'authority'),
    scheme: text(request, 'scheme') || 'http',
    protocol: protocols[text(entry, 'protocol_version')] ?? 'HTTP/1.1',
    status: number(response, 'response_code'),
    details: text(response, 'response_code_details'),
    time: number(common, 'start_time'),
    duration: number(common, 'time_to_last_downstream_tx_byte'),
  }
}

function connectionOf(listener: string, entry: Json): ConnectionEntry {
  const common = part(entry, 'common_properties')
  return {
    listener,
    refused: text(common, 'upstream_cluster') === '' || text(common, 'connection_termination_details') !== '',
    serverName: text(part(common, 'tls_properties'), 'tls_sni_hostname'),
    source: place(part(common, 'downstream_remote_address')),
    destination: place(part(common, 'downstream_local_address')),
    time: number(common, 'start_time'),
  }
}

function place(address: Json): { readonly address: string; readonly port: number } {
  const socket = part(address, 'socket_address')
  return { address: text(socket, 'address'), port: number(socket, 'port_value') }
}
