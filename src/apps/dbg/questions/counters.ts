// SPDX-License-Identifier: Apache-2.0
/** `policy hits` and `policy unused`: the kernel's count of each rule, under the names that the agent gave the numbers. */
import { maps } from '../../../../gen/contract.ts'
import { type Agent, AgentError } from '../agent.ts'
import { openCounters, pinsOf, sum } from '../bpf.ts'
import { columns, print, printed } from '../output.ts'

/** A rule as the agent numbers it: `GET /v1/policy/rules`. */
interface NumberedRule {
  readonly number: number
  /** `kind/namespace/name#path`, `default-deny …` or `allow-localhost`. */
  readonly key: string
  readonly policies: readonly string[]
  readonly path: string
}

interface Counted extends NumberedRule {
  readonly packets: number
  readonly bytes: number
}

async function counted(agent: Agent, root: string): Promise<readonly Counted[]> {
  const rules = await agent.get<readonly NumberedRule[]>('/policy/rules').catch((e: unknown) => {
    if (e instanceof AgentError && e.status === 404)
      throw new Error('this agent does not tell its rules (GET /v1/policy/rules); is it older than this command?')
    throw e
  })
  const counters = openCounters(pinsOf(root), maps.cilium_rule_counters)
  return rules.map((r) => ({ ...r, ...sum(counters.get(r.number) ?? []) }))
}

const rowOf = (r: Counted): string[] => [r.policies.join(', '), r.path === '' ? r.key.replace(/:.*/, '') : r.path]

/** Packets and bytes each rule has decided on this node, most first. */
export async function hits(agent: Agent, output: string | undefined, root: string): Promise<void> {
  const all = [...(await counted(agent, root))].sort((a, b) => b.packets - a.packets || (a.key < b.key ? -1 : 1))
  if (printed(all, output)) return
  print(
    columns([
      ['PACKETS', 'BYTES', 'POLICY', 'RULE'],
      ...all.map((r) => [String(r.packets), String(r.bytes), ...rowOf(r)]),
    ]),
  )
}

/** Rules that concern pods of this node and have decided nothing since they are in the kernel. */
export async function unused(agent: Agent, output: string | undefined, root: string): Promise<void> {
  const never = (await counted(agent, root)).filter((r) => r.packets === 0 && r.path !== '')
  if (printed(never, output)) return
  if (never.length === 0) print('Every rule has decided something.')
  else print(columns([['POLICY', 'RULE'], ...never.map(rowOf)]))
}
