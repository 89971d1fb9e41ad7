// SPDX-License-Identifier: Apache-2.0
import { parseLabel } from '../../model/labels.ts'

/** One pattern of the label filter: `[!][source:]regular expression`, matched from the start of the key. */
interface Pattern {
  readonly source: string
  readonly excludes: boolean
  readonly regex: RegExp
}

/** What makes an identity by default: everything but what orchestration puts on each pod or changes all the time. */
export const defaultPatterns: readonly string[] = [
  'reserved:.*',
  'io\\.kubernetes\\.pod\\.namespace',
  'io\\.cilium\\.k8s\\.namespace\\.labels',
  'app\\.kubernetes\\.io',
  'io\\.cilium\\.k8s\\.policy\\.cluster',
  '!io\\.kubernetes',
  '!kubernetes\\.io',
  '!.*beta\\.kubernetes\\.io',
  '!k8s\\.io',
  '!statefulset\\.kubernetes\\.io/pod-name',
  '!apps\\.kubernetes\\.io/pod-index',
  '!batch\\.kubernetes\\.io/job-completion-index',
  '!batch\\.kubernetes\\.io/controller-uid',
  '!pod-template-generation',
  '!pod-template-hash',
  '!controller-revision-hash',
  '!controller-uid',
  '!annotation.*',
  '!etcd_node',
]

function parsePattern(text: string): Pattern | undefined {
  const excludes = text.startsWith('!')
  const rest = excludes ? text.slice(1) : text
  const colon = rest.indexOf(':')
  try {
    return {
      source: colon > 0 ? rest.slice(0, colon) : '',
      excludes,
      regex: new RegExp(colon > 0 ? rest.slice(colon + 1) : rest, 'y'),
    }
  } catch {
    return undefined
  }
}

/**
 * Which labels are part of an identity. `extra` are the user's patterns, after the defaults; once one of them includes,
 * only included labels count. A label that both kinds match goes by the longer match. Bad patterns are ignored here: the
 * agent rejects them when it reads its configuration.
 */
export function labelFilter(extra: readonly string[]): (label: string) => boolean {
  const patterns = [...defaultPatterns, ...extra].map(parsePattern).filter((p) => p !== undefined)
  const onlyIncluded = extra.some((p) => !p.startsWith('!') && parsePattern(p) !== undefined)
  return (text) => {
    const { source, key } = parseLabel(text)
    let included = 0
    let excluded = 0
    for (const p of patterns) {
      if (p.source !== '' && p.source !== source) continue
      p.regex.lastIndex = 0
      const length = p.regex.exec(key)?.[0].length ?? 0
      if (length === 0) continue
      if (!p.excludes) included = Math.max(included, length)
      else if (excluded === 0 || length < excluded) excluded = length
    }
    return (!onlyIncluded && excluded === 0) || included > excluded
  }
}
