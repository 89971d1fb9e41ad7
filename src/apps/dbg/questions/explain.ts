// SPDX-License-Identifier: Apache-2.0
import { problemText } from '../../../base/result.ts'
import { namesRule } from '../../../derive/policy/program.ts'
import { type Answer, answerOf, ask, openAsking, type Question } from '../../../derive/questions/ask.ts'
import type { Cluster } from '../../../derive/questions/cluster.ts'
import type { Party } from '../../../derive/questions/party.ts'
import { portText } from '../../../derive/questions/ports.ts'
import { openReach, type Stretch, somePortsText, stretches } from '../../../derive/questions/reach.ts'
import { decidedByText, labelsOf, type Reasons, reasonsOf } from '../../../derive/questions/reasons.ts'
import { requestOf, requestText } from '../../../derive/questions/requests.ts'
import type { Side } from '../../../derive/questions/sides.ts'
import { whoIs } from '../../../derive/questions/who.ts'
import { columns, print, printed } from '../output.ts'

/** Every port between two ends, by what decides about it. */
export function explainPorts(cluster: Cluster, question: Question, output: string | undefined): void {
  const asking = openAsking(cluster)
  const [from, to] = [question.from, question.to].map((text) => {
    const found = whoIs(cluster, text)
    if (!found.ok) throw new Error(problemText(found.error))
    return found.value.backends?.[0] ?? found.value
  }) as [Party, Party]
  const request = requestOf(question)
  if (!request.ok) throw new Error(problemText(request.error))
  const byRule = new Map<string, { readonly answer: Answer; readonly stretches: Stretch[] }>()
  for (const s of stretches(openReach(cluster, request.value), from, to)) {
    const answer = answerOf(asking, from, to, { space: s.space, number: s.first }, request.value)
    const key = JSON.stringify([answer.verdict, answer.egress.key, answer.ingress.key])
    const same = byRule.get(key) ?? { answer, stretches: [] }
    byRule.set(key, same)
    same.stretches.push(s)
  }
  const rows = [...byRule.values()].map(({ answer, stretches }) => ({
    ports: somePortsText(stretches),
    verdict: answer.verdict,
    decidedBy: { ...answer.decidedBy, field: answer.decidedBy.rule },
  }))
  if (printed({ question, ports: rows }, output)) return
  print(`${from.name} -> ${to.name}${request.value ? ` ${requestText(request.value)}` : ''}`)
  print(columns(rows.map((r) => [`  ${r.verdict.final}`, decidedByText(r.decidedBy), r.ports])))
}

/** One question, printed; the text names what decided at each end, what else speaks of it and what would change it. */
export function explain(cluster: Cluster, question: Question, output: string | undefined): void {
  const answer = ask(openAsking(cluster), question)
  if (!answer.ok) throw new Error(problemText(answer.error))
  const reasons = reasonsOf(cluster, answer.value)
  if (printed(answerJson(cluster, question, answer.value, reasons), output)) return
  print(answerText(answer.value, reasons))
}

/** The documented form of `-o json`. */
export function answerJson(cluster: Cluster, question: Question, answer: Answer, reasons: Reasons): unknown {
  const { from, to, port, verdict, decidedBy } = answer
  const side = ({ verdict, decidedBy, selectedBy, request, would }: Side) => ({
    ...{ verdict, decidedBy, selectedBy },
    ...(request ? { request } : {}),
    ...(would ? { would } : {}),
  })
  const party = (p: Party) => ({ kind: p.kind, name: p.name, labels: labelsOf(cluster, p) })
  return {
    question,
    from: party(from),
    to: party(to),
    port: portText(port),
    verdict,
    decidedBy,
    egress: side(answer.egress),
    ingress: side(answer.ingress),
    runnersUp: reasons.runnersUp,
    changes: reasons.changes,
    notes: notesOf(answer),
  }
}

function notesOf({ from, to, egress, ingress }: Answer): readonly string[] {
  const asked = [egress, ingress]
    .filter((s) => s.verdict === 'redirect' && !s.open)
    .map((s) => decidedByText(s.decidedBy))
  return [
    ...from.notes,
    ...to.notes,
    ...asked.map((rule) => `${rule} leads to a proxy, which decides each request: ask with --method, --path or --dns`),
  ]
}

function answerText(answer: Answer, { runnersUp, changes }: Reasons): string {
  const { from, to, port, verdict } = answer
  const request = answer.request ? ` ${requestText(answer.request)}` : ''
  const lines = [`${from.name} -> ${to.name} ${portText(port)}${request}: ${verdict.final}`]
  for (const direction of ['egress', 'ingress'] as const) {
    const own = direction === 'egress' ? from : to
    lines.push(
      `  ${direction.padEnd(8)} ${answer[direction].verdict.padEnd(9)} ${why(answer[direction], own, direction)}`,
    )
  }
  const section = (title: string, body: readonly string[]) => {
    if (body.length > 0) lines.push('', title, ...body.map((l) => `  ${l}`))
  }
  for (const direction of ['egress', 'ingress'] as const) {
    const { request, verdict } = answer[direction]
    if (!request) continue
    section(
      verdict === 'allow' ? `What the ${direction} rules ask:` : `What the ${direction} rules ask, and it has not:`,
      request.asked.map(({ field, asks, lacks }) => `${field}: ${verdict === 'allow' ? asks : lacks.join(', ')}`),
    )
    section('What is done to the request:', request.changes)
  }
  section(
    'Other rules that speak of it:',
    runnersUp.map(
      (r) =>
        `${r.direction.padEnd(8)} ${r.verdict.padEnd(9)} ${decidedByText(r.decidedBy)}${r.mode ? ` (${r.mode})` : ''}`,
    ),
  )
  section(
    'What would change it:',
    changes.map((c) => `${c.direction.padEnd(8)} ${c.text}`),
  )
  section('Notes:', notesOf(answer))
  return lines.join('\n')
}

function why({ decidedBy, selectedBy, request, verdict }: Side, own: Party, direction: string): string {
  if (request && verdict === 'deny') return `no rule lets this request pass: ${decidedByText(decidedBy)}`
  switch (decidedBy.rule) {
    case 'no policy':
      return `no policy selects ${own.name} for ${direction}`
    case 'not a pod':
      return `${own.name} is not a pod of the cluster: no policy is enforced there`
    case 'allow-localhost':
      return 'the host of a pod may always reach it (allow-localhost)'
    case namesRule:
      return 'no policy speaks of it; the DNS proxy sees it, for the names that policies mean'
    case 'default deny':
      return `no rule allows it; ${selectedBy.join(', ') || 'enable-policy=always'} ${selectedBy.length > 1 ? 'select' : 'selects'} ${own.name}`
    default:
      return decidedByText(decidedBy)
  }
}
