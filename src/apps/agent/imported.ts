// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { importedRule, isRule } from '../../derive/policy/imported.ts'
import { importedPrefix, type PolicyObject, policyKey } from '../../model/policy.ts'
import type { RowFiles } from './row-files.ts'

/** Tells the contents of rules apart. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)

/** Imported rules as they are kept on disk: as they were written. The name says the content, and a label is no path. */
export const ruleFiles = (stateDir: string): RowFiles<PolicyObject> => ({
  dir: `${stateDir}/state/policies`,
  what: 'imported rule',
  key: policyKey,
  file: (p) => encodeURIComponent(p.name.slice(importedPrefix.length)).slice(-200),
  content: (p) => p.object['spec'],
  parse: (content) => {
    if (!isRule(content)) throw new Error('it is no rule')
    return importedRule(content, digest)
  },
})
