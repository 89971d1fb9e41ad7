// SPDX-License-Identifier: Apache-2.0
/**
 * What the path of a packet costs, against plain veth and plain routing in the same run: client and server on CPU 0
 * under SCHED_FIFO, targets interleaved in every round, order rotated, the median of the ratios of each round.
 */

import { Lab } from '../lab.ts'
import { direct, type Pair, removeBaselines, routed, wired } from './baseline.ts'
import { type Figure, median, relative, type Section } from './figure.ts'
import { Client, Server, type Verb } from './load.ts'
import { type BenchPods, benchPods } from './pods.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 12)
const slice = 0.1
const verbs: readonly Verb[] = ['rr', 'crr', 'urr', 'blast']
const names: Partial<Record<Verb, string>> = {
  rr: 'TCP RR',
  crr: 'TCP CRR',
  urr: 'UDP RR',
  blast: 'UDP packet',
}

interface Target {
  readonly name: string
  readonly pair: Pair
}
type Samples = Map<string, Map<Verb, number[]>>

/** Interleaved samples of each target: the same index is the same round. */
async function sample(targets: readonly Target[], family: 4 | 6, wanted: readonly Verb[]): Promise<Samples> {
  const servers = targets.map((t) => new Server(t.pair.server))
  await Promise.all(servers.map((s) => s.ready()))
  const clients = targets.map((t) => new Client(t.pair.client, family === 4 ? t.pair.serverIPv4 : t.pair.serverIPv6))
  const samples: Samples = new Map(targets.map((t) => [t.name, new Map(wanted.map((v) => [v, []]))]))
  try {
    for (let round = 0; round < rounds; round++)
      for (const verb of wanted)
        for (let i = 0; i < targets.length; i++) {
          const at = (i + round) % targets.length
          const value = await (clients[at] as Client).measure(verb, slice)
          samples
            .get((targets[at] as Target).name)
            ?.get(verb)
            ?.push(value)
        }
  } finally {
    for (const p of [...clients, ...servers]) p.stop()
  }
  return samples
}

function compare(samples: Samples, name: string, to: string, verb: Verb, title: string, goal?: number): Figure {
  const ours = samples.get(name)?.get(verb) ?? []
  const base = samples.get(to)?.get(verb) ?? []
  const ratio = median(ours.map((v, i) => v / (base[i] as number)))
  const higher = verb === 'stream'
  return relative(title, median(ours), higher ? 'Gbit/s' : 'ns', median(base), ratio, goal, higher)
}

const sameNode: Partial<Record<Verb, number>> = { rr: 0.91, crr: 0.94, urr: 0.935, blast: 0.865 }
const acrossNative: Partial<Record<Verb, number>> = { rr: 0.92, urr: 0.94, blast: 0.87 }
const acrossTunnel: Partial<Record<Verb, number>> = { rr: 0.96, urr: 0.99, blast: 0.91 }

export const path: Section = {
  name: 'path',
  async run(report) {
    removeBaselines()
    try {
      const plain = { direct: direct(), routed: routed(), wired: wired() }
      for (const mode of ['tunnel', 'native'] as const) {
        const lab = await Lab.up('bench', mode === 'native' ? ['--native-routing'] : [])
        let pods: BenchPods | undefined
        try {
          pods = await benchPods(lab)
          for (const family of [4, 6] as const) {
            if (mode === 'tunnel') {
              const near = [
                { name: 'direct', pair: plain.direct },
                { name: 'routed', pair: plain.routed },
                { name: 'pods', pair: pods.near },
              ]
              const s = await sample(near, family, verbs)
              for (const v of verbs) report(compare(s, 'direct', 'routed', v, `direct veth, ${names[v]}, IPv${family}`))
              for (const v of verbs)
                report(compare(s, 'pods', 'routed', v, `same node, ${names[v]}, IPv${family}`, sameNode[v]))
              const t = await sample(near, family, ['stream'])
              report(compare(t, 'pods', 'direct', 'stream', `same node, TCP stream, IPv${family}`, 0.95))
            }
            const goals = mode === 'native' ? acrossNative : acrossTunnel
            const far = [
              { name: 'wired', pair: plain.wired },
              { name: 'pods', pair: pods.far },
            ]
            const s = await sample(far, family, verbs)
            for (const v of verbs)
              report(compare(s, 'pods', 'wired', v, `across nodes, ${mode}, ${names[v]}, IPv${family}`, goals[v]))
            const t = await sample(far, family, ['stream'])
            report(compare(t, 'pods', 'wired', 'stream', `across nodes, ${mode}, TCP stream, IPv${family}`, 0.95))
          }
        } finally {
          pods?.release()
          await lab.down()
        }
      }
    } finally {
      removeBaselines()
    }
  },
}
