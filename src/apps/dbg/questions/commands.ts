// SPDX-License-Identifier: Apache-2.0
/** The commands that answer questions about policies: options in, printed answers out. */
import { explain } from './explain.ts'
import { openFrom } from './open.ts'

interface Common {
  readonly output?: string
  readonly cluster?: readonly string[]
}

export interface ExplainOptions extends Common {
  readonly from?: string
  readonly to?: string
  readonly port?: string
  readonly questions?: string
}

export async function explainCommand({ from, to, port, questions, output, cluster }: ExplainOptions): Promise<void> {
  if (questions === undefined && (from === undefined || to === undefined))
    throw new Error('policy explain: --from and --to are required, or --questions FILE')
  const opened = await openFrom(cluster ? { cluster } : {})
  if (questions !== undefined) return (await import('./many.ts')).many(opened.cluster, questions)
  explain(opened.cluster, { from: from ?? '', to: to ?? '', ...(port === undefined ? {} : { port }) }, output)
}
