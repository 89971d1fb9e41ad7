// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../../base/result.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { Cluster } from './cluster.ts'
import type { Party } from './party.ts'
import { type AskedPort, type Port, portOf } from './ports.ts'
import { type AskedRequest, type Request, requestOf } from './requests.ts'
import { type DecidedBy, type Judges, type Side, sideOf, type Word } from './sides.ts'
import { whoIs } from './who.ts'

export interface Question extends AskedPort, AskedRequest {
  readonly from: string
  readonly to: string
}

export interface Answer {
  readonly from: Party
  /** The pod that answers: for a service one of those behind it. */
  readonly to: Party
  readonly port: Port
  readonly request?: Request
  readonly verdict: { readonly ingress: Word; readonly egress: Word; readonly final: 'allow' | 'deny' }
  readonly decidedBy: DecidedBy
  readonly egress: Side
  readonly ingress: Side
}

/** Questions to one cluster; what was found out once is kept until the cluster changes. */
export interface Asking {
  readonly cluster: Cluster
  readonly parties: Map<string, Result<Party>>
  readonly judges: Judges
  revision: number
}

export const openAsking = (cluster: Cluster): Asking => ({
  cluster,
  parties: new Map(),
  judges: new Map(),
  revision: -1,
})

/** Asks both ends. Of the pods behind a service the first that is refused answers, or else the first. */
export function ask(asking: Asking, asked: Question): Result<Answer> {
  const question = somewhere(asked)
  const from = party(asking, question.from)
  if (!from.ok) return from
  const to = party(asking, question.to)
  if (!to.ok) return to
  fresh(asking)
  const { service, backends } = to.value
  if (!service || !backends || backends.length === 0) return askPair(asking, from.value, to.value, question)
  let first: Result<Answer> | undefined
  for (const backend of backends) {
    const port = behind(service.ports, question, backend.group?.namedPorts ?? [])
    const answer = askPair(asking, from.value, backend, port === question ? port : { ...question, ...port })
    if (!answer.ok || answer.value.verdict.final === 'deny') return answer
    first ??= answer
  }
  return first as Result<Answer>
}

/** Names are asked of name servers, unless said otherwise. */
const somewhere = (asked: Question): Question =>
  asked.dns === undefined || asked.port !== undefined || asked.icmpType !== undefined
    ? asked
    : { ...asked, port: 53, protocol: asked.protocol ?? 'UDP' }

/** The port of the pod behind a service's; one that the service does not have is meant as the pod's own. */
function behind(
  ports: NonNullable<Party['service']>['ports'],
  asked: AskedPort,
  named: readonly NamedPort[],
): AskedPort {
  const own = portOf(asked, ports)
  const entry = own.ok && ports.find((p) => p.port === own.value.number && p.protocol === own.value.space)
  if (!entry) return asked
  const target = portOf({ port: entry.targetPort, protocol: entry.protocol }, named)
  return target.ok ? { port: target.value.number, protocol: entry.protocol } : asked
}

function askPair(asking: Asking, from: Party, to: Party, asked: AskedPort & AskedRequest): Result<Answer> {
  const named = to.group?.namedPorts ?? []
  const port = portOf(asked, named)
  if (!port.ok) return port
  const request = requestOf(asked)
  if (!request.ok) return request
  return ok(answerOf(asking, from, to, port.value, request.value))
}

/** The same for ends and ports that are known already. */
export function answerOf(asking: Asking, from: Party, to: Party, port: Port, request?: Request): Answer {
  const named = to.group?.namedPorts ?? []
  const egress = sideOf(asking.cluster, asking.judges, from.group, 'egress', to.identity, port, named, request)
  const ingress = sideOf(asking.cluster, asking.judges, to.group, 'ingress', from.identity, port, named, request)
  const final = egress.verdict === 'deny' || ingress.verdict === 'deny' ? 'deny' : 'allow'
  const telling =
    final === 'deny' ? (egress.verdict === 'deny' ? egress : ingress) : ingress.key !== '' ? ingress : egress
  return {
    from,
    to,
    port,
    ...(request ? { request } : {}),
    verdict: { ingress: ingress.verdict, egress: egress.verdict, final },
    decidedBy: (final === 'allow' && telling.key === '' && to.group ? ingress : telling).decidedBy,
    egress,
    ingress,
  }
}

function party(asking: Asking, text: string): Result<Party> {
  const known = asking.parties.get(text)
  if (known) return known
  const found = whoIs(asking.cluster, text)
  asking.parties.set(text, found)
  return found
}

function fresh(asking: Asking): void {
  const { revision } = asking.cluster.db
  if (asking.revision === revision) return
  asking.revision = revision
  asking.judges.clear()
}
