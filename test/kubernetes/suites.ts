// SPDX-License-Identifier: Apache-2.0
/** Others' tests, on a cluster with the product: `make test-network`, `test-networkpolicy`, `test-clusternetworkpolicy`. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { build, buildClusterNetworkPolicy, buildNetwork } from './build.ts'
import { down, importImage, inMachine, nodeNames, up } from './cluster.ts'
import { kubectl } from './kubectl.ts'
import { control, kubeconfig, machine } from './places.ts'
import { install, installDns, ready } from './product.ts'

type Say = (text: string) => void

/** Runs `test` on a cluster with the product; answers its exit code. */
async function onCluster(
  nodes: number,
  values: readonly string[],
  say: Say,
  test: () => Promise<readonly [string, readonly string[]]>,
): Promise<number> {
  await build()
  try {
    await up(nodes, say)
    await install(values)
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

/** Tests of networking that are none of the product's, by patterns of their names. */
const leftOut: readonly (readonly [pattern: string, why: string])[] = [
  ['Netpol', 'NetworkPolicy has a target of its own'],
  ['Feature:LoadBalancer', 'a cloud gives the addresses of load balancers'],
  ['Feature:(Networking-IPv|NetworkingIPv)|should provide Internet connection', 'machines on the Internet answer'],
  ['Feature:Networking-DNS|Feature:PerformanceDNS', '10000 services: a figure of the API server and the name server'],
  ['Feature:Networking-Performance', 'iperf, a figure of the machine'],
  ['Feature:Ingress', 'a controller for Ingress of a cloud'],
  ['Feature:KubeProxy|KubeProxy|kube-proxy', 'kube-proxy itself'],
  ['Provider:GCE', 'a cloud'],
  [
    'should recreate its iptables rules|should work after restarting apiserver',
    'SSH to nodes, or pods of the API server',
  ],
  ['should support configurable pod resolv.conf', "CoreDNS in the test's image; what the pod is told has another test"],
  ['DNS configMap', "CoreDNS' own configuration, which another name server need not know"],
  ['FeatureGate:.*\\[Alpha\\]', 'gates that are off'],
  ['SCTP', 'the kernel has no SCTP sockets, or the test looks for its module by SSH'],
  ['Topology Hints', 'the controller gives hints by the CPUs of a node, and nodes here share theirs'],
]

/** Tests run this many at a time: most of their time they wait. */
const atOnce = 3

/** The command that runs those tests whose names match `focus` and nothing of `skip`. */
async function runOf(focus: string, skip: readonly string[]): Promise<readonly [string, readonly string[]]> {
  const { ginkgo, program, image } = await buildNetwork()
  await Promise.all(nodeNames().map((name) => importImage(name, image)))
  return [
    ginkgo,
    [
      ...[`--procs=${atOnce}`, '--timeout=3h', '--no-color', `--focus=${focus}`, ...skip.map((p) => `--skip=${p}`)],
      ...[program, '--', '--kubeconfig', kubeconfig, '--provider=local', `--num-nodes=${nodeNames().length}`],
    ],
  ]
}

/** The API server's machine has no agent, and is to reach pods all the same: it stands for clients by its proxy. */
async function routesToPods(): Promise<void> {
  const { items } = JSON.parse(await kubectl(['get', 'ciliumnodes', '-o', 'json'])) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string }
      readonly spec: { readonly ipam: { readonly podCIDRs: readonly string[] } }
    }[]
  }
  for (const { metadata, spec } of items) {
    const { ipv4, ipv6 } = machine(Number(metadata.name.replace('node-', '')))
    for (const cidr of spec.ipam.podCIDRs)
      await inMachine(control.name, ['ip', 'route', 'replace', cidr, 'via', cidr.includes(':') ? ipv6 : ipv4])
  }
}

/** Kubernetes' own tests of NetworkPolicy whose names match `only`, or all. */
export const testNetworkPolicy = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(2, [], say, () => runOf(`Netpol.*NetworkPolicy.*${only ?? ''}`, hasSctp(say) ? [] : ['SCTPConnectivity']))

/** Kubernetes' other tests of networking; each node is in a zone of its own. */
export const testNetwork = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(3, ['loadBalancer.serviceTopology=true'], say, async () => {
    await routesToPods()
    for (const name of nodeNames())
      await kubectl(['label', 'node', name, `topology.kubernetes.io/zone=zone-of-${name}`, '--overwrite'])
    for (const [pattern, why] of leftOut) say(`left out: ${pattern}: ${why}`)
    return runOf(
      `\\[sig-network\\].*${only ?? ''}`,
      leftOut.map(([pattern]) => pattern),
    )
  })

/** The conformance tests of ClusterNetworkPolicy. */
export const testClusterNetworkPolicy = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(2, [], say, async () => {
    const { program, image } = await buildClusterNetworkPolicy()
    await Promise.all(nodeNames().map((name) => importImage(name, image)))
    const features = ['', 'NamedPorts', 'EgressNodePeers'].map((name) => `ClusterNetworkPolicy${name}`).join()
    const run = `-test.run=TestConformance/.*${only ?? ''}`
    return [program, ['-test.v', '-test.timeout=1h', `-supported-features=${features}`, run]]
  })
