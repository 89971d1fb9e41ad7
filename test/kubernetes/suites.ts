// SPDX-License-Identifier: Apache-2.0
/** Others' tests, on a cluster with the product: `make test-network`, `test-networkpolicy`, `test-clusternetworkpolicy`. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, buildClusterNetworkPolicy, buildNetwork } from './build.ts'
import { down, importImage, inMachine, nodeNames, up } from './cluster.ts'
import { kubectl } from './kubectl.ts'
import { loadBalancers } from './load-balancer.ts'
import { control, kubeconfig, machine, state } from './places.ts'
import { install, installDns, ready } from './product.ts'

type Say = (text: string) => void

/** Does `test` on a cluster with the product. */
async function onCluster<T>(nodes: number, values: readonly string[], say: Say, test: () => Promise<T>): Promise<T> {
  await build()
  try {
    await up(nodes, say)
    await install(values)
    await ready()
    await installDns()
    say('cluster is ready')
    return await test()
  } finally {
    await down()
  }
}

/** Runs a program that tests the cluster; answers its exit code. */
export async function exitOf(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, KUBECONFIG: kubeconfig } })
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
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
  [
    'service loadbalancer source ranges',
    'loadBalancerSourceRanges hold for other machines, not for pods (docs/kubernetes.md)',
  ],
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
  ['should be rejected for evicted pods', 'kubelets here do not measure what pods write, and evict none for it'],
  ['DNS configMap', "CoreDNS' own configuration, which another name server need not know"],
  ['FeatureGate:.*\\[Alpha\\]', 'gates that are off'],
  ['SCTP', 'the kernel has no SCTP sockets, or the test looks for its module by SSH'],
  ['Topology Hints', 'the controller gives hints by the CPUs of a node, and nodes here share theirs'],
]

/** Tests run this many at a time: most of their time they wait. */
const atOnce = 3

/** What became of tests that were to run, by name; those skipped looked at the cluster first, and say why. */
export interface Outcomes {
  readonly code: number
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
}

interface Spec {
  readonly LeafNodeType: string
  readonly State: string
  readonly ContainerHierarchyTexts: readonly string[] | null
  readonly LeafNodeText: string
  readonly Failure?: { readonly Message: string }
}

/** Runs those tests whose names match `focus` and nothing of `skip`; none is a failure. */
async function specs(focus: string, skip: readonly string[], say: Say): Promise<Outcomes> {
  const { ginkgo, program, image } = await buildNetwork()
  await Promise.all(nodeNames().map((name) => importImage(name, image)))
  const report = 'report.json'
  const code = await exitOf(ginkgo, [
    ...[`--procs=${atOnce}`, '--timeout=3h', '--no-color', '--fail-on-empty'],
    ...[`--focus=${focus}`, ...skip.map((p) => `--skip=${p}`), `--json-report=${report}`, `--output-dir=${state}`],
    ...[program, '--', '--kubeconfig', kubeconfig, '--provider=local', `--num-nodes=${nodeNames().length}`],
  ])
  const suites = JSON.parse(readFileSync(join(state, report), 'utf8')) as readonly { SpecReports: readonly Spec[] }[]
  const its = suites.flatMap((s) => s.SpecReports).filter((s) => s.LeafNodeType === 'It')
  const told = its.filter((s) => s.State !== 'skipped' || s.Failure)
  const nameOf = (s: Spec): string => [...(s.ContainerHierarchyTexts ?? []), s.LeafNodeText].join(' ')
  const of = (holds: (s: Spec) => boolean) => told.filter(holds).map(nameOf)
  const passed = of((s) => s.State === 'passed')
  const failed = of((s) => s.State !== 'passed' && s.State !== 'skipped')
  const skipped = told.filter((s) => s.State === 'skipped').map((s) => `${nameOf(s)}: ${s.Failure?.Message}`)
  for (const text of skipped) say(`skipped itself: ${text}`)
  for (const text of failed) say(`failed: ${text}`)
  say(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped themselves`)
  return { code, passed, failed, skipped }
}

const matching = (only: string | undefined): string => (only === undefined ? '' : `(${only})`)

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
export const testNetworkPolicy = (only: string | undefined, say: Say): Promise<Outcomes> =>
  onCluster(2, [], say, () =>
    specs(`Netpol.*NetworkPolicy.*${matching(only)}`, hasSctp(say) ? [] : ['SCTPConnectivity'], say),
  )

/** Kubernetes' other tests of networking; each node is in a zone of its own. */
export const testNetwork = (only: string | undefined, say: Say): Promise<Outcomes> =>
  onCluster(3, ['loadBalancer.serviceTopology=true'], say, async () => {
    await routesToPods()
    for (const name of nodeNames())
      await kubectl(['label', 'node', name, `topology.kubernetes.io/zone=zone-of-${name}`, '--overwrite'])
    for (const [pattern, why] of leftOut) say(`left out: ${pattern}: ${why}`)
    const skip = leftOut.map(([pattern]) => pattern)
    const end = await loadBalancers()
    try {
      return await specs(`\\[sig-network\\].*${matching(only)}`, skip, say)
    } finally {
      await end()
    }
  })

/** The conformance tests of ClusterNetworkPolicy; answers the exit code. */
export const testClusterNetworkPolicy = (only: string | undefined, say: Say): Promise<number> =>
  onCluster(2, [], say, async () => {
    const { program, image } = await buildClusterNetworkPolicy()
    await Promise.all(nodeNames().map((name) => importImage(name, image)))
    const features = ['', 'NamedPorts', 'EgressNodePeers'].map((name) => `ClusterNetworkPolicy${name}`).join()
    const run = `-test.run=TestConformance/.*${only ?? ''}`
    return exitOf(program, ['-test.v', '-test.timeout=1h', `-supported-features=${features}`, run])
  })
