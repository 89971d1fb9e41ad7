// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from './agent.ts'
import { print } from './output.ts'

/** The JSON rules of a file, or of all `.json` files below a directory; `-` is standard input. */
function rulesFrom(path: string): unknown[] {
  if (path !== '-' && statSync(path).isDirectory())
    return readdirSync(path)
      .sort()
      .flatMap((name) => (name.endsWith('.json') ? rulesFrom(`${path}/${name}`) : []))
  const text = readFileSync(path === '-' ? 0 : path, 'utf8')
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : [parsed]
  } catch (e) {
    throw new Error(`${path}: not JSON: ${e instanceof Error ? e.message : e}`)
  }
}

export interface ImportOptions {
  /** What was imported before goes. */
  readonly replace?: boolean
  /** What was imported under these labels goes. */
  readonly replaceWithLabels?: readonly string[]
  readonly print?: boolean
}

export async function importRules(agent: Agent, path: string, o: ImportOptions): Promise<void> {
  const query = new URLSearchParams()
  if (o.replace) query.set('replace', 'true')
  for (const l of o.replaceWithLabels ?? []) query.append('replace-with-labels', l)
  const to = query.size === 0 ? '/policy' : `/policy?${query}`
  const answer = await agent.send<{ policy: string; revision: number }>('PUT', to, rulesFrom(path))
  if (o.print) print(answer.policy)
  print(`Revision: ${answer.revision}`)
}

export async function deleteRules(agent: Agent, labels: readonly string[], all: boolean): Promise<void> {
  if (labels.length === 0 && !all) throw new Error('policy delete: name the labels of the rules, or --all')
  const query = all ? '' : `?labels=${encodeURIComponent(labels.join(','))}`
  const answer = await agent.send<{ revision: number }>('DELETE', `/policy${query}`)
  print(`Revision: ${answer.revision}`)
}

/** Waits until every endpoint enforces revision `revision` or a later one. */
export async function wait(agent: Agent, revision: number, seconds: number): Promise<void> {
  interface Seen {
    readonly id: number
    readonly status: {
      readonly identity?: unknown
      readonly policy?: { readonly realized?: { readonly 'policy-revision'?: number } }
    }
  }
  const until = performance.now() + seconds * 1000
  for (;;) {
    const endpoints = await agent.get<readonly Seen[]>('/endpoint')
    const behind = endpoints.filter(
      (e) => e.status.identity !== undefined && (e.status.policy?.realized?.['policy-revision'] ?? 0) < revision,
    )
    if (behind.length === 0) return
    if (performance.now() > until)
      throw new Error(
        `revision ${revision} is not enforced after ${seconds} s by endpoint ${behind.map((e) => e.id).join(', ')}`,
      )
    await sleep(50)
  }
}
