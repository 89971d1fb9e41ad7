// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'
import { problemText } from '../../../base/result.ts'
import { ask, openAsking, type Question, type Side } from '../../../derive/questions/ask.ts'
import type { Cluster } from '../../../derive/questions/cluster.ts'

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
    const { verdict, decidedBy, egress, ingress } = answer.value
    const side = ({ verdict, decidedBy, would }: Side) =>
      would ? { verdict, decidedBy, would } : { verdict, decidedBy }
    return JSON.stringify({
      question,
      verdict,
      decidedBy,
      egress: side(egress),
      ingress: side(ingress),
    })
  }
}
