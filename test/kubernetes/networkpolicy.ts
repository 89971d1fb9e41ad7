// SPDX-License-Identifier: Apache-2.0
/** Others' tests of network policies, on a cluster with the product: `make test-networkpolicy`, `make test-clusternetworkpolicy`. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { build, buildClusterNetworkPolicy, buildNetworkPolicy } from './build.ts'
import { down, importImage, nodeNames, up } from './cluster.ts'
import { kubeconfig } from './places.ts'
import { install, installDns, ready } from './product.ts'

type Say = (text: string) => void

/** Runs `test` on a cluster with the product; answers its exit code. */
async function onCluster(say: Say, test: () => Promise<readonly [string, readonly string[]]>): Promise<number> {
  await build()
  try {
    await up(2, say)
    await install()
    await ready()
    await installDns()
    say('cluster is ready')
    const [program, args] = await test()
    const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, KUBECONFIG: kubeconfig } })
    return await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
  } finally {
    await down()
  }
}

/** Whether tests can open SCTP sockets. Raw ones are not enough for services, which are translated at the socket. */
function hasSctp(say: Say): boolean {
  const has = /^SCTP/m.test(readFileSync('/proc/net/protocols', 'utf8'))
  if (!has) say('this kernel has no SCTP sockets: tests of SCTP services are skipped')
  return has
}

/** Kubernetes' own tests whose names match `only`, or all. */
export const testNetworkPolicy = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(say, async () => [
    await buildNetworkPolicy(),
    [
      ...['--kubeconfig', kubeconfig, '--provider=local', '--num-nodes=2', '--ginkgo.timeout=3h', '--ginkgo.no-color'],
      `--ginkgo.focus=NetworkPolicy.*${only ?? ''}`,
      ...(hasSctp(say) ? [] : ['--ginkgo.skip=SCTPConnectivity']),
    ],
  ])

/** The conformance tests of ClusterNetworkPolicy. */
export const testClusterNetworkPolicy = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(say, async () => {
    const { program, image } = await buildClusterNetworkPolicy()
    await Promise.all(nodeNames().map((name) => importImage(name, image)))
    const features = ['', 'NamedPorts', 'EgressNodePeers'].map((name) => `ClusterNetworkPolicy${name}`).join()
    const run = `-test.run=TestConformance/.*${only ?? ''}`
    return [program, ['-test.v', '-test.timeout=1h', `-supported-features=${features}`, run]]
  })
