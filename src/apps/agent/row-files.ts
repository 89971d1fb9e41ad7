// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path'
import { namesIn, readIfThere, removeAll, writeWhole } from '../../edge/disk/files.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { Log } from './log.ts'

/** Rows that outlive the agent, as files of a directory, one each. */
export interface RowFiles<Row> {
  readonly dir: string
  /** What a row is, for the log: `endpoint file`. */
  readonly what: string
  readonly key: (row: Row) => string
  /** Name of the file without `.json`. */
  readonly file: (row: Row) => string
  /** What is written; the row itself if not given. */
  readonly content?: (row: Row) => unknown
  /** A row from what was written; throws when it is none. */
  readonly parse: (content: unknown) => Row
}

/** The rows an agent before left. A file that can not be read is told and stays. */
export function readRowFiles<Row>({ dir, what, parse }: RowFiles<Row>, log: Log): readonly Row[] {
  return namesIn(dir)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        return [parse(JSON.parse(readIfThere(join(dir, name)) ?? ''))]
      } catch (e) {
        log('warning', `${what} ${join(dir, name)} is left alone: ${(e as Error).message}`)
        return []
      }
    })
}

export function rowFilesTarget<Row>(files: RowFiles<Row>, log: Log): Target<Row> {
  const path = (row: Row): string => join(files.dir, `${files.file(row)}.json`)
  const text = (row: Row): string => JSON.stringify(files.content ? files.content(row) : row)
  const attempt = (work: () => void): Outcome => {
    try {
      work()
      return { ok: true }
    } catch (e) {
      return { ok: false, error: e instanceof Error ? e.message : String(e) }
    }
  }
  return {
    name: files.dir,
    key: files.key,
    load: () => readRowFiles(files, log),
    equal: (a, b) => text(a) === text(b),
    write: (rows) => rows.map((row) => attempt(() => writeWhole(path(row), text(row)))),
    remove: (rows) => rows.map((row) => attempt(() => removeAll(path(row)))),
  }
}
