// SPDX-License-Identifier: Apache-2.0
/** From the moment a policy object is written to the first packet it decides, and to the last of a node's endpoints. */
import { setTimeout as sleep } from 'node:timers/promises'
import { kubeconfigAccess } from '../../src/edge/kube/access.ts'
import { openKube } from '../../src/edge/kube/client.ts'
import { CILIUM_NETWORK_POLICIES } from '../../src/edge/kube/resource.ts'
import { Lab } from '../lab.ts'
import { absolute, median, quantile, type Section } from './figure.ts'
import { Client, Lines, Server } from './load.ts'
import { sleepers } from './manifests.ts'
import { benchPods } from './pods.ts'

const rounds = 12
const now = (): number => performance.timeOrigin + performance.now()

/** Ingress of what `bench` says from pods that do not exist: everything else is refused. */
const closed = (name: string, bench: string): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name, namespace: 'default' },
  spec: {
    endpointSelector: { matchLabels: { bench } },
    ingressDeny: [{ fromEndpoints: [{}] }],
    ingress: [{ fromEndpoints: [{ matchLabels: { nobody: 'is' } }] }],
  },
})

export const delay: Section = {
  name: 'delay',
  async run(report) {
    const lab = await Lab.up('bench', [], 2)
    const kube = openKube(kubeconfigAccess(lab.kubeconfig))
    const pods = await benchPods(lab)
    const server = new Server(pods.near.server, false)
    const client = new Client(pods.near.client, pods.near.serverIPv4, false)
    let seen: Lines | undefined
    try {
      const node = (await lab.nodes())[0] as string
      await server.ready()
      const first: number[] = []
      for (let i = 0; i < rounds; i++) {
        const last = client.measure('last', 10)
        await sleep(300)
        const written = now()
        await kube.create(CILIUM_NETWORK_POLICIES, 'default', closed(`delay-${i}`, 'server'))
        first.push((await last) - written)
        await kube.delete(CILIUM_NETWORK_POLICIES, 'default', `delay-${i}`)
        await sleep(100)
      }
      report(absolute('policy written to first packet decided by it, p50', median(first), 'ms', 5))
      report(absolute('policy written to first packet decided by it, max', quantile(first, 1), 'ms'))

      const names = Array.from({ length: 108 }, (_, i) => `many-${i}`)
      await lab.kubectl(['apply', '-f', '-'], sleepers(names, { node, label: 'many', distinct: true }))
      await lab.kubectl(['wait', '--for=condition=Ready', 'pod', '-l', 'bench=many', '--timeout=120s'])
      await sleep(2000)
      seen = new Lines([...lab.inside(node), process.execPath, `${process.cwd()}/test/bench/enforced.ts`])
      await seen.next()
      const all: number[] = []
      for (let i = 0; i < rounds; i++) {
        seen.send(String(names.length))
        await sleep(100)
        const written = now()
        await kube.create(CILIUM_NETWORK_POLICIES, 'default', closed(`all-${i}`, 'many'))
        all.push(Number(await seen.next()) - written)
        seen.send(String(names.length))
        await sleep(100)
        await kube.delete(CILIUM_NETWORK_POLICIES, 'default', `all-${i}`)
        await seen.next()
        await sleep(200)
      }
      report(
        absolute('policy written to all 110 endpoints of a node, each with a policy of its own', median(all), 'ms', 20),
      )
    } finally {
      seen?.stop()
      client.stop()
      server.stop()
      pods.release()
      kube.close()
      await lab.down()
    }
  },
}
