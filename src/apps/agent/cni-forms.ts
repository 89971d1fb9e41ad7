// SPDX-License-Identifier: Apache-2.0
import { type Endpoint, type EndpointRequest, gatewayMac, podMac } from '../../model/endpoint.ts'
import { object, text } from '../../model/json.ts'
import type { Database } from '../../table/database.ts'
import { nodeFacts } from './node-facts.ts'

/** What the plugin hands over. */
export interface CniRequest {
  readonly command: string
  readonly containerID: string
  readonly netns: string
  readonly ifname: string
  readonly args: string
  readonly config: Readonly<Record<string, unknown>>
}

/** An error in the words of the specification, with its code. */
export class CniError extends Error {
  readonly code: number
  readonly details: string
  constructor(code: number, message: string, details = '') {
    super(message)
    this.code = code
    this.details = details
  }
}
/** Whatever was sent, as a request; what is missing is ''. */
export function requestOf(body: unknown): CniRequest {
  const b = object(body)
  const field = (name: string): string => text(b[name])
  return {
    command: field('command'),
    containerID: field('containerID'),
    netns: field('netns'),
    ifname: field('ifname'),
    args: field('args'),
    config: object(b['config']),
  }
}

/** Throws a CniError when it does not say for whom the endpoint shall be. Without the arguments of Kubernetes it is no pod. */
export function endpointRequestOf(request: CniRequest): EndpointRequest {
  const pairs = request.args === '' ? [] : request.args.split(';')
  if (pairs.some((pair) => pair.indexOf('=') < 1))
    throw new CniError(4, 'CNI_ARGS is no list of KEY=VALUE;…', request.args)
  const args = new Map(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const),
  )
  const [namespace, podName] = [args.get('K8S_POD_NAMESPACE') ?? '', args.get('K8S_POD_NAME') ?? '']
  if (request.containerID === '' || request.ifname === '' || request.netns === '')
    throw new CniError(4, 'container, interface or network namespace is missing')
  if ((namespace === '') !== (podName === ''))
    throw new CniError(
      4,
      'CNI_ARGS does not say which pod this is',
      'K8S_POD_NAMESPACE and K8S_POD_NAME: both for a pod, none for another container',
    )
  return {
    containerId: request.containerID,
    ifname: request.ifname,
    netns: request.netns,
    namespace,
    podName,
    podUid: args.get('K8S_POD_UID') ?? '',
  }
}

/** The result of ADD in the form of the version asked for. */
export function resultOf(db: Database, e: Endpoint, version: string): object {
  const facts = db.get(nodeFacts, 'node')
  const old = version.startsWith('0.')
  const family = (address: string, gateway: string, bits: number, dst: string) =>
    address === '' || !facts
      ? []
      : [
          {
            ip: {
              ...(old ? { version: bits === 32 ? '4' : '6' } : {}),
              address: `${address}/${bits}`,
              gateway,
              interface: 0,
            },
            routes: [
              { dst: `${gateway}/${bits}` },
              { dst, gw: gateway, ...(version === '1.1.0' ? { mtu: facts.podMtu } : {}) },
            ],
          },
        ]
  const families = [
    ...family(e.ipv4, facts?.gateway4 ?? '', 32, '0.0.0.0/0'),
    ...family(e.ipv6, facts?.gateway6 ?? '', 128, '::/0'),
  ]
  return {
    cniVersion: version,
    interfaces: [
      {
        name: e.ifname,
        mac: podMac,
        sandbox: e.netns,
        ...(version === '1.1.0' && facts ? { mtu: facts.wireMtu } : {}),
      },
      { name: e.link, mac: gatewayMac },
    ],
    ips: families.map((f) => f.ip),
    routes: families.flatMap((f) => f.routes),
    dns: {},
  }
}
