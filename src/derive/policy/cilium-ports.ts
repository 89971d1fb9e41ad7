// SPDX-License-Identifier: Apache-2.0
import type { Layer7 } from '../../model/proxy.ts'
import { checkDnsPorts, dnsPorts, parseDns } from './dns.ts'
import { checkHttpPorts, parseHttp } from './http.ts'
import { parseCiliumPorts, parseIcmps } from './ports.ts'
import { child, elements, type Field, fields, isAbsent, isFilled, isObject, problem, warning } from './read.ts'
import type { Direction, Port, Rule } from './rule.ts'
import { httpWith, parseListener, parseTls } from './tls.ts'

interface PortPart {
  readonly path: string
  readonly ports: Rule['ports']
  /** What the ports are asked for beyond themselves; `closed` when that is not enforced yet. */
  readonly layer7: 'none' | 'closed' | Layer7
}

const toPortsFields = ['ports', 'rules', 'terminatingTLS', 'originatingTLS', 'serverNames', 'listener']

/** One part for all plain ports, and one for each toPorts element that asks for more than ports. */
export function parsePorts(
  at: Field,
  direction: Direction,
  action: 'allow' | 'deny',
  hasPeers: boolean,
  namespace: string,
): readonly PortPart[] {
  const list = child(at, 'toPorts')
  const icmps = child(at, 'icmps')
  const elementsOfPorts = elements(list)
  if (elementsOfPorts.length > 0 && isFilled(at, 'icmps'))
    problem(icmps, 'icmps can not go with toPorts', 'make it a rule of its own')
  if (elementsOfPorts.length === 0 && !isFilled(at, 'icmps'))
    // One empty rule selects its subject and allows nothing.
    return hasPeers ? [{ path: at.path, ports: 'all', layer7: 'none' }] : []
  const plain: Port[] = [...parseIcmps(icmps)]
  const layer7: PortPart[] = []
  for (const e of elementsOfPorts) {
    fields(e, action === 'allow' ? toPortsFields : ['ports'])
    if (isObject(e) && !isFilled(e, 'ports') && Object.keys(e.value as object).every((name) => name === 'ports'))
      warning(e, 'names no port, and means every port of TCP, UDP and SCTP', 'leave toPorts out to mean all traffic')
    const ports = parseCiliumPorts(child(e, 'ports'), action)
    const more = layer7Fields(e)
    const httpAt = child(child(e, 'rules'), 'http')
    const http = isFilled(child(e, 'rules'), 'http') ? parseHttp(httpAt, namespace) : undefined
    const tls = parseTls(e, namespace, http !== undefined)
    if (http || tls) checkHttpPorts(e, ports)
    const dns = isFilled(child(e, 'rules'), 'dns') ? parseDns(child(child(e, 'rules'), 'dns')) : undefined
    if (dns) checkDnsPorts(e, direction, ports)
    if (dns && (isFilled(child(e, 'rules'), 'http') || tls))
      problem(
        child(e, 'rules'),
        'http can not go with dns: one port speaks one protocol',
        'make it an element of its own',
      )
    for (const m of more) warning(m, 'not enforced yet: fails closed')
    parseListener(child(e, 'listener'))
    if (more.length > 0 || !isAbsent(child(e, 'listener'))) layer7.push({ path: e.path, ports, layer7: 'closed' })
    else if (http || tls) layer7.push({ path: e.path, ports, layer7: httpWith(http, tls) })
    else if (dns) layer7.push({ path: e.path, ports: dnsPorts(ports), layer7: { kind: 'dns', dns } })
    else plain.push(...ports)
  }
  return plain.length > 0 || layer7.length === 0 ? [{ path: at.path, ports: plain, layer7: 'none' }, ...layer7] : layer7
}

const layer7Names = ['http', 'kafka', 'dns', 'l7proto', 'l7']

/** What a toPorts element asks for beyond ports, HTTP and DNS. */
function layer7Fields(at: Field): readonly Field[] {
  const rules = child(at, 'rules')
  fields(rules, layer7Names)
  const more = layer7Names
    .filter((name) => name !== 'http' && name !== 'dns')
    .map((name) => child(rules, name))
    .filter((f) => !isAbsent(f))
  return more
}
