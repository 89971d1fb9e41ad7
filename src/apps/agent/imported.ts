// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { importedRule, isRule } from '../../derive/policy/imported.ts'
import { namesIn, readIfThere, removeAll, writeWhole } from '../../edge/disk/files.ts'
import { importedPrefix, type PolicyObject, policyKey } from '../../model/policy.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { Log } from './log.ts'

/** Tells the contents of rules apart. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)

const fileOf = (dir: string, p: PolicyObject): string =>
  join(dir, `${encodeURIComponent(p.name.slice(importedPrefix.length)).slice(-200)}.json`)

/** Rules as an agent before kept them. A file that can not be read is told and stays. */
export function readStoredRules(dir: string, log: Log): readonly PolicyObject[] {
  return namesIn(dir)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        const rule: unknown = JSON.parse(readIfThere(join(dir, name)) ?? '')
        if (!isRule(rule)) throw new Error('it is no rule')
        return [importedRule(rule, digest)]
      } catch (e) {
        log('warning', `imported rule ${join(dir, name)} is left alone: ${(e as Error).message}`)
        return []
      }
    })
}

/** Imported rules as files of a directory, one each. */
export function storedRulesTarget(dir: string, log: Log): Target<PolicyObject> {
  const attempt = (work: () => void): Outcome => {
    try {
      work()
      return { ok: true }
    } catch (e) {
      return { ok: false, error: e instanceof Error ? e.message : String(e) }
    }
  }
  return {
    name: dir,
    key: policyKey,
    load: () => readStoredRules(dir, log),
    // The name says the content.
    equal: (a, b) => a.name === b.name,
    write: (rows) => rows.map((p) => attempt(() => writeWhole(fileOf(dir, p), JSON.stringify(p.object['spec'])))),
    remove: (rows) => rows.map((p) => attempt(() => removeAll(fileOf(dir, p)))),
  }
}
