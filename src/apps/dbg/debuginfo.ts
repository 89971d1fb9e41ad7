// SPDX-License-Identifier: Apache-2.0
import type { Agent } from './agent.ts'
import { print, printed } from './output.ts'

/** All a report needs, as Markdown: what the agent says of itself, one chapter a subject. */
export async function debuginfo(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<Record<string, unknown>>('/debuginfo')
  if (printed(found, output)) return
  print('# Cilium debug information\n')
  for (const [name, value] of Object.entries(found)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
    print(`#### ${name}\n\n\`\`\`\n${text}\n\`\`\`\n`)
  }
}
