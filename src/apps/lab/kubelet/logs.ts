// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import type { LogOptions } from '../api/streams.ts'

interface Line {
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  /** A line that was cut goes on in the next entry. */
  readonly partial: boolean
  readonly text: Buffer
}

/** Cuts one entry as native/container/log.c writes it: `TIME stdout F text`. */
function parseLine(line: Buffer): Line | undefined {
  const a = line.indexOf(32)
  const b = line.indexOf(32, a + 1)
  const c = line.indexOf(32, b + 1)
  if (a < 0 || b < 0 || c < 0) return undefined
  const stream = line.toString('latin1', a + 1, b) === 'stderr' ? 'stderr' : 'stdout'
  return { time: line.toString('latin1', 0, a), stream, partial: line[b + 1] === 80, text: line.subarray(c + 1) }
}

function* entries(data: Buffer): Generator<Line> {
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(10, at)
    if (end < 0) return
    const line = parseLine(data.subarray(at, end))
    if (line) yield line
    at = end + 1
  }
}

const readWhole = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}

/** The last lines of a log, without times. */
export function lastLines(path: string, count: number): string {
  const all = [...entries(readWhole(path))]
  return all
    .slice(-count)
    .map((line) => line.text.toString() + (line.partial ? '' : '\n'))
    .join('')
}

/**
 * What `kubectl logs` shows of the log at `path` (and the part before it, PATH.1). With `follow` it goes on until
 * `ended` says that nothing more will come.
 */
export async function* readLog(path: string, options: LogOptions, ended: () => boolean): AsyncGenerator<Uint8Array> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const show = (lines: Iterable<Line>): Buffer => {
    const parts: Buffer[] = []
    for (const line of lines) {
      if (options.since !== undefined && Date.parse(line.time) < options.since) continue
      if (options.timestamps) parts.push(Buffer.from(`${line.time} `))
      parts.push(line.text)
      if (!line.partial) parts.push(Buffer.from('\n'))
    }
    const all = Buffer.concat(parts).subarray(0, Math.min(left, Number.MAX_SAFE_INTEGER))
    left -= all.length
    return all
  }
  let reader = follower(path)
  const old = options.since === undefined && options.tailLines === 0 ? Buffer.alloc(0) : readWhole(`${path}.1`)
  let lines = [...entries(old), ...entries(reader.read())]
  if (options.tailLines !== undefined) lines = tail(lines, options.tailLines)
  const first = show(lines)
  if (first.length) yield first
  while (options.follow && !options.signal.aborted && left > 0) {
    const over = ended()
    const more = show(entries(reader.read()))
    if (more.length) yield more
    else if (over) break
    else await new Promise((resolve) => setTimeout(resolve, 50))
    if (reader.replaced()) {
      const rest = show(entries(reader.read()))
      if (rest.length) yield rest
      reader.close()
      reader = follower(path)
    }
  }
  reader.close()
}

function tail(lines: readonly Line[], count: number): Line[] {
  let from = lines.length
  for (let left = count; from > 0; from--) {
    if (!lines[from - 1]?.partial && left-- === 0) break
  }
  return lines.slice(from)
}

/** Reads whole lines of a growing file; it may not exist yet. */
function follower(path: string) {
  let fd: number | undefined
  let rest: Buffer = Buffer.alloc(0)
  const open = () => {
    try {
      fd ??= openSync(path, 'r')
    } catch {
      // not written yet
    }
    return fd
  }
  return {
    read(): Buffer {
      if (open() === undefined) return Buffer.alloc(0)
      const parts = [rest]
      for (;;) {
        const chunk = Buffer.alloc(65536)
        const n = readSync(fd!, chunk)
        if (n === 0) break
        parts.push(chunk.subarray(0, n))
      }
      const all = Buffer.concat(parts)
      const end = all.lastIndexOf(10) + 1
      rest = all.subarray(end)
      return all.subarray(0, end)
    },
    replaced(): boolean {
      if (fd === undefined) return false
      try {
        return statSync(path).ino !== fstatSync(fd).ino
      } catch {
        return false
      }
    },
    close() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}
