// SPDX-License-Identifier: Apache-2.0
/** Runs inside a node: one line of JSON for each line on stdin, run time and runs of every pinned program by its name. */
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openPinned, programInfo } from '../../src/edge/kernel/link.ts'

const root = process.argv[2] ?? '/sys/fs/bpf/tc/globals/programs'
const programs = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => [entry.name, openPinned(`${entry.parentPath}/${entry.name}`) as number] as const)

for await (const _ of createInterface({ input: process.stdin }))
  console.log(
    JSON.stringify(
      Object.fromEntries(
        programs.map(([name, fd]) => {
          const { runTime, runs } = programInfo(fd)
          return [name, { ns: Number(runTime), runs: Number(runs) }]
        }),
      ),
    ),
  )
