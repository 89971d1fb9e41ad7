// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'
import { problemText } from '../../../base/result.ts'
import { type Answer, ask, openAsking, type Question } from '../../../derive/questions/ask.ts'
import type { Cluster } from '../../../derive/questions/cluster.ts'
import type { Side } from '../../../derive/questions/sides.ts'

/** One line of JSON for each line of JSON; a question that can not be answered gets an `error` instead of a verdict. */
export function many(cluster: Cluster, file: string): void {
  const answer = answering(cluster)
  let out: string[] = []
  for (const line of readFileSync(file === '-' ? 0 : file, 'utf8').split('\n')) {
    if (line.trim() === '') continue
    out.push(answer(line))
    if (out.length < 4096) continue
    process.stdout.write(`${out.join('\n')}\n`)
    out = []
  }
  if (out.length > 0) process.stdout.write(`${out.join('\n')}\n`)
}

/** From a line to a line. */
export function answering(cluster: Cluster): (line: string) => string {
  const asking = openAsking(cluster)
  return (line) => {
    let question: Question
    try {
      question = JSON.parse(line) as Question
    } catch {
      return JSON.stringify({ question: line, error: 'not JSON' })
    }
    const missing = (['from', 'to'] as const).find((name) => typeof question[name] !== 'string')
    if (missing) return JSON.stringify({ question, error: `${missing}: required, a text` })
    const answer = ask(asking, question)
    if (!answer.ok) return JSON.stringify({ question, error: problemText(answer.error) })
    return lineOf(line.trim(), answer.value)
  }
}

const texts = new WeakMap<object, string>()

/** JSON of what many answers have in common, made once. */
function textOf(value: object): string {
  let text = texts.get(value)
  if (text === undefined) texts.set(value, (text = JSON.stringify(value)))
  return text
}

const sides = new WeakMap<Side, string>()

function sideText(side: Side): string {
  let text = sides.get(side)
  if (text === undefined) {
    const { verdict, decidedBy, request, would } = side
    const more = { ...(request ? { request } : {}), ...(would ? { would } : {}) }
    sides.set(side, (text = JSON.stringify({ verdict, decidedBy, ...more })))
  }
  return text
}

/** The question as it was written, and the answer, put together from parts: this is where most of the time goes. */
const lineOf = (question: string, { verdict, decidedBy, egress, ingress }: Answer): string =>
  `{"question":${question},"verdict":${JSON.stringify(verdict)},"decidedBy":${textOf(decidedBy)},"egress":${sideText(egress)},"ingress":${sideText(ingress)}}`
