// SPDX-License-Identifier: Apache-2.0
/**
 * Agents killed and started again under constant new and long-lived connections by every way there is and requests under
 * L7 rules, each in turn; then Envoys that hand over to another, on both nodes at once. ROUNDS says how many of each.
 */
import { Cluster, type Seen } from '../cluster/faults/cluster.ts'
import { type Load, Restarts } from '../cluster/l7/restarts.ts'
import { absolute, type Figure, median, type Section } from './figure.ts'

const count = Number(process.env['ROUNDS'] ?? 100)
type Report = (figure: Figure) => void

export const restarts: Section = {
  name: 'restarts',
  async run(report) {
    const cluster = await Cluster.up('restarts')
    try {
      const layer7 = await Restarts.in(cluster.lab)
      await agents(cluster, layer7, report)
      await envoys(layer7, report)
    } finally {
      await cluster.lab.down()
    }
  },
}

async function agents(cluster: Cluster, layer7: Restarts, report: Report): Promise<void> {
  const ways = await cluster.everyWay()
  // Services are translated where the socket is, and for the second client packet by packet.
  const talks = [await cluster.client(ways), await cluster.client(ways, 'namespace')]
  const strangers = await cluster.probe('stranger', ways)
  const load = await layer7.load()
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await cluster.restartAgent(i % 2 === 0 ? 'node-1' : 'node-2')
    took.push((performance.now() - began) / 1000)
  }
  const seen = (await Promise.all(talks.map((talk) => talk.stop()))).flat()
  const sum = (field: Exclude<keyof Seen, 'address'>): number => seen.reduce((n, s) => n + s[field], 0)
  const under = `under ${count} kills of agents`
  report(absolute(`messages answered ${under}`, sum('long') + sum('short') + sum('udp'), ''))
  report(absolute(`datagrams lost ${under}`, sum('lost'), '', 0))
  report(absolute(`connections reset ${under}`, sum('reset'), '', 0))
  report(absolute(`connections refused ${under}`, sum('refused'), '', 0))
  report(absolute(`connections stalled ${under}`, sum('stalled'), '', 0))
  report(absolute(`first packets sent again ${under}`, sum('resent'), '', 0))
  const answered = (await strangers.stop()).reduce((n, s) => n + s.answered, 0)
  report(absolute(`denied attempts answered ${under}`, answered, '', 0))
  report(absolute('agent killed to ready, a new pod included', median(took), 's'))
  requests(await load.stop(), under, report)
}

async function envoys(layer7: Restarts, report: Report): Promise<void> {
  const load = await layer7.load()
  const took: number[] = []
  const nodes = [...layer7.cluster.nodes.keys()]
  await Promise.all(
    nodes.map(async (node, at) => {
      for (let i = at; i < count; i += nodes.length) {
        const began = performance.now()
        await layer7.handOver(node)
        took.push((performance.now() - began) / 1000)
      }
    }),
  )
  requests(await load.stop(), `under ${count} exchanges of Envoys`, report)
  report(absolute('Envoy told to hand over to the end of the old one', median(took), 's'))
}

function requests(loads: readonly Load[], under: string, report: Report): void {
  const sum = (field: 'asked' | 'failed' | 'reset' | 'streams' | 'cut'): number =>
    loads.reduce((n, l) => n + l[field], 0)
  for (const l of loads) if (l.failed > 0) console.log(`failed: ${JSON.stringify(l.errors)}`)
  report(absolute(`requests asked ${under}`, sum('asked'), ''))
  report(absolute(`requests failed ${under}`, sum('failed'), '', 0))
  report(absolute(`kept connections reset ${under}`, sum('reset'), '', 0))
  report(absolute(`long answers ${under}`, sum('streams'), ''))
  report(absolute(`long answers cut ${under}`, sum('cut'), '', 0))
  report(absolute(`slowest request ${under}`, Math.max(...loads.map((l) => l.slowest)), 'ms'))
}
