// SPDX-License-Identifier: Apache-2.0
/** Agents killed and started again, each in turn, under constant new and long-lived connections by every way there is. */
import { Cluster, type Seen } from '../cluster/faults/cluster.ts'
import { absolute, median, type Section } from './figure.ts'

const count = Number(process.env['RESTARTS'] ?? 100)

export const restarts: Section = {
  name: 'restarts',
  async run(report) {
    const cluster = await Cluster.up('restarts')
    try {
      const ways = await cluster.everyWay()
      // Services are translated where the socket is, and for the second client packet by packet.
      const talks = [await cluster.client(ways), await cluster.client(ways, 'namespace')]
      const strangers = await cluster.probe('stranger', ways)
      const took: number[] = []
      for (let i = 0; i < count; i++) {
        const began = performance.now()
        await cluster.restartAgent(i % 2 === 0 ? 'node-1' : 'node-2')
        took.push((performance.now() - began) / 1000)
      }
      const seen = (await Promise.all(talks.map((talk) => talk.stop()))).flat()
      const sum = (field: Exclude<keyof Seen, 'address'>): number => seen.reduce((n, s) => n + s[field], 0)
      const under = `${count} restarts`
      report(absolute(`messages answered under ${under}`, sum('long') + sum('short') + sum('udp'), ''))
      report(absolute(`datagrams lost under ${under}`, sum('lost'), '', 0))
      report(absolute(`connections reset under ${under}`, sum('reset'), '', 0))
      report(absolute(`connections refused under ${under}`, sum('refused'), '', 0))
      report(absolute(`connections stalled under ${under}`, sum('stalled'), '', 0))
      report(absolute(`first packets sent again under ${under}`, sum('resent'), '', 0))
      const answered = (await strangers.stop()).reduce((n, s) => n + s.answered, 0)
      report(absolute(`denied attempts answered under ${under}`, answered, '', 0))
      report(absolute('agent killed to ready, a new pod included', median(took), 's'))
    } finally {
      await cluster.lab.down()
    }
  },
}
