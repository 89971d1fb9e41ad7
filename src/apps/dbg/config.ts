// SPDX-License-Identifier: Apache-2.0
import type { Agent } from './agent.ts'
import { columns, print, printed } from './output.ts'

interface Config {
  readonly spec?: { readonly options?: Readonly<Record<string, string>> }
  readonly status?: {
    readonly realized?: { readonly options?: Readonly<Record<string, string>> }
    readonly daemonConfigurationMap?: Readonly<Record<string, unknown>>
  }
}

/** Run-time options; with `all`, everything the agent was started with. */
export async function config(
  agent: Agent,
  options: { all?: boolean; readOnly?: boolean; output?: string },
): Promise<void> {
  const found = await agent.get<Config>('/config')
  if (printed(found, options.output)) return
  const mutable = Object.entries(found.status?.realized?.options ?? found.spec?.options ?? {})
  const fixed = Object.entries(found.status?.daemonConfigurationMap ?? {})
  const table = (entries: readonly (readonly [string, unknown])[]): string =>
    columns([...entries].sort().map(([k, v]) => [k, typeof v === 'object' ? JSON.stringify(v) : String(v)]))
  if (options.all || options.readOnly) print(`#### Read-only configurations ####\n${table(fixed)}`)
  if (options.all) print('')
  if (!options.readOnly) print(`##### Read-write configurations #####\n${table(mutable)}`)
}

export async function one(agent: Agent, name: string): Promise<void> {
  const found = await agent.get<Config>('/config')
  const all = { ...found.status?.daemonConfigurationMap, ...(found.status?.realized?.options ?? {}) }
  const at = Object.entries(all).find(([k]) => k.toLowerCase() === name.toLowerCase())
  if (at === undefined)
    throw new Error(`config ${name}: the agent has no option of that name (see: cilium-dbg config --all)`)
  print(typeof at[1] === 'object' ? JSON.stringify(at[1]) : String(at[1]))
}

/** `NAME=enable|disable`, several at once; `PolicyEnforcement=default|always|never`. */
export async function set(agent: Agent, changes: readonly string[]): Promise<void> {
  const { PolicyEnforcement, ...options } = changed(changes)
  await agent.send('PATCH', '/config', {
    options,
    ...(PolicyEnforcement === undefined ? {} : { 'policy-enforcement': PolicyEnforcement }),
  })
}

/** Options of one endpoint, or changes of them. */
export async function ofEndpoint(
  agent: Agent,
  id: string,
  changes: readonly string[],
  output: string | undefined,
): Promise<void> {
  const path = `/endpoint/${encodeURIComponent(id)}/config`
  if (changes.length > 0) {
    await agent.send('PATCH', path, { options: changed(changes) })
    print(`Endpoint ${id} configuration updated successfully`)
    return
  }
  const found = await agent.get<{ readonly realized: { readonly options: Readonly<Record<string, string>> } }>(path)
  if (printed(found, output)) return
  print(columns(Object.entries(found.realized.options).sort()))
}

function changed(changes: readonly string[]): { readonly [name: string]: string } {
  const options: Record<string, string> = {}
  for (const change of changes) {
    const [name, value] = change.split('=')
    if (!name || !value) throw new Error(`config ${change}: expected NAME=enable or NAME=disable`)
    options[name] = value
  }
  return options
}
