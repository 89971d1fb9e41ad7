// SPDX-License-Identifier: Apache-2.0
/** The commands that answer questions about policies: options in, printed answers out. */
import type { AskedRequest } from '../../../derive/questions/requests.ts'
import type { Agent } from '../agent.ts'
import { explain, explainPorts } from './explain.ts'
import { openFrom } from './open.ts'

export interface Common {
  readonly output?: string
  readonly cluster?: readonly string[]
}

/** The request a question is about, as options. */
export interface RequestOptions {
  readonly method?: string
  readonly path?: string
  readonly httpHost?: string
  readonly header?: readonly string[]
  readonly sni?: string
  readonly dns?: string
}

function requestOptions({ method, path, httpHost, header, sni, dns }: RequestOptions): AskedRequest {
  return {
    ...(method === undefined ? {} : { method }),
    ...(path === undefined ? {} : { path }),
    ...(httpHost === undefined ? {} : { host: httpHost }),
    ...(header === undefined ? {} : { headers: header }),
    ...(sni === undefined ? {} : { sni }),
    ...(dns === undefined ? {} : { dns }),
  }
}

export interface ExplainOptions extends Common, RequestOptions {
  readonly from?: string
  readonly to?: string
  readonly port?: string
  readonly questions?: string
}

export async function explainCommand(o: ExplainOptions): Promise<void> {
  const { from, to, port, questions, output, cluster } = o
  if (questions === undefined && (from === undefined || to === undefined))
    throw new Error('policy explain: --from and --to are required, or --questions FILE')
  const numbers = questions !== undefined || [from, to].some((end) => /^identity[:/]/.test(end ?? ''))
  const opened = await openFrom({ numbers, ...(cluster ? { cluster } : {}) })
  if (questions !== undefined) return (await import('./many.ts')).many(opened.cluster, questions)
  const ends = { from: from ?? '', to: to ?? '', ...requestOptions(o) }
  if (port !== undefined) explain(opened.cluster, { ...ends, port }, output)
  else if (o.dns !== undefined) explain(opened.cluster, ends, output)
  else explainPorts(opened.cluster, ends, output)
}

export interface WhatIfOptions extends Common, RequestOptions {
  readonly file?: readonly string[]
  readonly delete?: readonly string[]
}

export async function whatIfCommand(o: WhatIfOptions): Promise<void> {
  if (!o.file && !o.delete) throw new Error('policy what-if: -f FILE or --delete NAME is required')
  const { whatIf } = await import('./what-if.ts')
  whatIf(await openFrom(o), o.file ?? [], o.delete ?? [], requestOptions(o), o.output)
}

export async function matrixCommand(o: Common): Promise<void> {
  const { matrix } = await import('./show.ts')
  matrix((await openFrom(o)).cluster, o.output)
}

export async function shadowedCommand(o: Common): Promise<void> {
  const { shadowed } = await import('./show.ts')
  shadowed((await openFrom(o)).cluster, o.output)
}

export interface TestOptions extends Common {
  readonly file?: readonly string[]
  readonly junit?: string
}

export async function testCommand(o: TestOptions): Promise<void> {
  if (!o.file) throw new Error('policy test: -f CASES is required')
  const { readCases, testPolicies } = await import('./cases.ts')
  const cases = readCases(o.file)
  const passed = testPolicies((await openFrom({ ...o, numbers: true })).cluster, cases, {
    output: o.output,
    junit: o.junit,
  })
  if (!passed) process.exitCode = 1
}

export interface ValidateOptions extends Common {
  readonly file?: readonly string[]
}

export async function validateCommand(o: ValidateOptions): Promise<void> {
  if (!o.file) throw new Error('policy validate: -f DIR is required')
  const { validate } = await import('./validate.ts')
  if (!validate(o.file, o.cluster, o.output)) process.exitCode = 1
}

export async function countersCommand(which: 'hits' | 'unused', agent: Agent, root: string, o: Common): Promise<void> {
  if (o.cluster)
    throw new Error(
      `policy ${which}: packets are counted in the kernel; manifests have no counters (see policy shadowed)`,
    )
  const room = await import('./counters.ts')
  await room[which](agent, o.output, root)
}
