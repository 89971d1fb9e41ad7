// SPDX-License-Identifier: Apache-2.0
/** What the programs themselves take, by the kernel's own statistics, which add about 70 ns to every run. */
import { readFileSync, writeFileSync } from 'node:fs'
import { Lab } from '../lab.ts'
import { absolute, median, type Section } from './figure.ts'
import { Client, Lines, Server, type Verb } from './load.ts'
import { type BenchPods, benchPods } from './pods.ts'

const rounds = 7
const switchFile = '/proc/sys/kernel/bpf_stats_enabled'
type Stats = Readonly<Record<string, { readonly ns: number; readonly runs: number }>>

const goals: readonly (readonly [verb: Verb, title: string, goal: number])[] = [
  ['blast', 'UDP packet', 170],
  ['rr', 'TCP RR', 230],
  ['crr', 'TCP CRR', 400],
  ['denied', 'denied packet, with its event', 500],
  ['flows', 'new flow', 1000],
]

export const programs: Section = {
  name: 'programs',
  async run(report) {
    const before = readFileSync(switchFile, 'utf8')
    const lab = await Lab.up('bench')
    let statistics: Lines | undefined
    let pods: BenchPods | undefined
    try {
      pods = await benchPods(lab)
      const inside = lab.inside((await lab.nodes())[0] as string)
      const here = process.cwd()
      statistics = new Lines([...inside, process.execPath, `${here}/test/bench/program-stats.ts`])
      const read = async (): Promise<Stats> => {
        statistics?.send('now')
        return JSON.parse((await statistics?.next()) ?? '{}') as Stats
      }
      for (const family of [4, 6] as const) {
        const server = new Server(pods.near.server)
        await server.ready()
        const client = new Client(pods.near.client, family === 4 ? pods.near.serverIPv4 : pods.near.serverIPv6)
        for (const [verb, title, goal] of goals) {
          const samples: number[] = []
          for (let i = 0; i < rounds; i++) {
            await client.measure(verb, 0.05)
            writeFileSync(switchFile, '1')
            const start = (await read())['from_pod']
            await client.measure(verb, 0.2)
            const end = (await read())['from_pod']
            writeFileSync(switchFile, '0')
            if (start && end) samples.push((end.ns - start.ns) / (end.runs - start.runs))
          }
          report(absolute(`from_pod, ${title}, IPv${family}`, median(samples), 'ns', goal))
        }
        client.stop()
        server.stop()
      }
    } finally {
      statistics?.stop()
      writeFileSync(switchFile, before)
      pods?.release()
      await lab.down()
    }
  },
}
