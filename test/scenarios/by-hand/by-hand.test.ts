// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { ask, openAsking, type Question } from '../../../src/derive/questions/ask.ts'
import { openCluster } from '../../../src/derive/questions/cluster.ts'
import { readObjects } from '../../../src/derive/questions/objects.ts'
import { decidedByText } from '../../../src/derive/questions/reasons.ts'

type Port = string | number | Partial<Question>
interface Case {
  readonly name: string
  readonly policies: readonly { readonly items?: readonly unknown[] }[]
  /** The last is a part of what decides, or what a request has. */
  readonly questions: readonly (readonly [string, string, Port, 'allow' | 'deny', (string | Partial<Question>)?])[]
}

const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
const cluster = (parse(read('cluster.yaml')) as { readonly items: readonly unknown[] }).items
const cases = parseAllDocuments(read('cases.yaml')).map((document) => document.toJS() as Case)

for (const { name, policies, questions } of cases)
  test(`by hand: ${name}`, () => {
    const objects = policies.flatMap((p) => p.items ?? [p])
    const asking = openAsking(openCluster(readObjects(structuredClone([...cluster, ...objects]))))
    for (const [from, to, port, want, more] of questions) {
      const answer = ask(asking, {
        ...{ from, to },
        ...(typeof port === 'object' ? port : { port }),
        ...(typeof more === 'object' ? more : {}),
      })
      const about = `${from} to ${to} ${JSON.stringify(port)}`
      assert(answer.ok, `${about}: ${JSON.stringify(answer)}`)
      const { verdict, decidedBy } = answer.value
      assert.equal(verdict.final, want, `${about}, by ${decidedByText(decidedBy)}`)
      const { kind, namespace, name: policy, field } = decidedBy
      if (typeof more === 'string')
        assert.ok(`${kind}/${namespace}/${policy}#${field}`.includes(more), `${about}: ${decidedByText(decidedBy)}`)
    }
  })
