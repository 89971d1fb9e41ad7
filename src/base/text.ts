// SPDX-License-Identifier: Apache-2.0

/**
 * Text in columns as kubectl and cilium print it: each column as wide as its widest cell, `gap` blanks between, no
 * blanks at the end of a line. Ends with a newline, unless there is nothing to print.
 */
export function columnText(rows: readonly (readonly string[])[], gap = 3): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell))
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] as number) - width(cell) + gap)))
      .join('')
      .trimEnd()
  return rows.map((row) => `${line(row)}\n`).join('')
}

/** Rows under headings, by column definitions as tables declare them. */
export function tableText<Row>(
  columns: readonly (readonly [heading: string, cell: (row: Row) => string])[],
  rows: readonly Row[],
  gap = 3,
): string {
  const headings = columns.map(([heading]) => heading)
  return columnText([headings, ...rows.map((row) => columns.map(([, cell]) => cell(row)))], gap)
}

/** Blocks of a nested text: every line but empty ones moved right. */
export const indent = (text: string, by: number): string => text.replace(/^(?=.)/gm, ' '.repeat(by))

/** A duration as kubectl prints ages: two units at most, of which the smaller only while it tells something. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  const pair = (large: number, unit: string, small: number, smaller: string) =>
    small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smaller}`
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (hours < 3) return `${minutes}m`
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return pair(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  if (days < 365 * 8) return pair(Math.floor(days / 365), 'y', days % 365, 'd')
  return `${Math.floor(days / 365)}y`
}

/** Characters, not UTF-16 units: enough for the names and numbers we print. */
const width = (text: string): number => [...text].length
