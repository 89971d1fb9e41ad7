// SPDX-License-Identifier: Apache-2.0

/** Columns aligned as Cilium's commands print them: three spaces between, nothing behind the last. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number)))
      .join('   ')
      .trimEnd()
  return rows.map(line).join('\n')
}

/** Rows of which the first cells come once and the last column goes on below: one label a line. */
export function stacked(head: readonly string[], last: readonly string[], tail: readonly string[] = []): string[][] {
  const first = [...head, last[0] ?? '', ...tail]
  const blank = head.map(() => '')
  return [first, ...last.slice(1).map((cell) => [...blank, cell, ...tail.map(() => '')])]
}

export const print = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)

/** `-o json` and `-o jsonpath=…` for any answer; false when the command is to print its own form. */
export function printed(value: unknown, output: string | undefined): boolean {
  if (output === undefined || output === '') return false
  if (output === 'json') print(JSON.stringify(value, undefined, 2))
  else if (output.startsWith('jsonpath=')) process.stdout.write(jsonpath(value, output.slice('jsonpath='.length)))
  else throw new Error(`-o ${output}: the output forms are json and jsonpath=TEMPLATE`)
  return true
}

/**
 * The part of Kubernetes' JSONPath that clients use here: text with `{.a.b[0].c}`, `{$.a}`, `[*]` and quotes around the
 * whole. Several results are joined by a space.
 */
export function jsonpath(value: unknown, template: string): string {
  const bare = template.replace(/^(['"])(.*)\1$/s, '$2')
  return bare.replace(/\{([^}]*)\}/g, (_, path: string) => {
    let found: unknown[] = [value]
    for (const step of path.replace(/^\$/, '').matchAll(/\.([\w-]+)|\[(\*|\d+|'[^']+')\]/g)) {
      const key = step[1] ?? (step[2] as string).replaceAll("'", '')
      found = found.flatMap((v) => {
        if (typeof v !== 'object' || v === null) return []
        if (key === '*') return Object.values(v)
        const at = Object.entries(v).find(([k]) => k === key || k.toLowerCase() === key.toLowerCase())
        return at === undefined ? [] : [at[1]]
      })
    }
    return found.map((v) => (typeof v === 'object' ? JSON.stringify(v) : String(v))).join(' ')
  })
}
