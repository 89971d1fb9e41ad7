// SPDX-License-Identifier: Apache-2.0
/** The connectivity test of Cilium's own client against the product: `make test-connectivity`. */
import { readFileSync } from 'node:fs'
import { build } from './build.ts'
import { buildClient, clientImages } from './client.ts'
import { down, importImage, nodeNames, up } from './cluster.ts'
import { kubectl } from './kubectl.ts'
import { kubeconfig } from './places.ts'
import { install, installDns, ready } from './product.ts'
import { exitOf } from './suites.ts'
import { authority, openWorld, world } from './world.ts'

/** Cilium's client, and what every command of it is told. */
export const clientEnvironment = { ...process.env, KUBECONFIG: kubeconfig }

/** Builds the client, and brings what its connectivity test needs to the nodes. Returns the client's path. */
export async function prepareConnectivity(): Promise<string> {
  const { program, archives } = await buildClient()
  await Promise.all(nodeNames().flatMap((node) => archives.map((tar) => importImage(node, tar))))
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'world-authority', namespace: 'default' },
    data: { 'ca.crt': readFileSync(authority).toString('base64') },
  }
  await kubectl(['apply', '-f', '-'], JSON.stringify(secret))
  return program
}

/** The arguments of the connectivity test for a cluster beside our world; `tests` as its flag --test takes them. */
export const connectivityArguments = (tests: readonly string[]): readonly string[] => [
  // Each test waits for what must not answer: several at once, and not as long as the internet may take.
  ...['connectivity', 'test', '--hubble=false', '--test-concurrency=3', '--request-timeout=5s'],
  ...['--curl-image', clientImages.client, '--json-mock-image', clientImages.server],
  ...['--dns-test-server-image', 'quay.io/cilium/cluster-dns:v0.1.0'],
  ...[
    '--external-target',
    world.web.name,
    '--external-other-target',
    world.other.name,
    '--external-target-ipv6-capable',
  ],
  ...['--external-cidr', world.cidr4, '--external-ip', world.web.ipv4, '--external-other-ip', world.other.ipv4],
  ...['--external-cidrv6', world.cidr6, '--external-ipv6', world.web.ipv6, '--external-other-ipv6', world.other.ipv6],
  ...['--external-target-ca-namespace', 'default', '--external-target-ca-name', 'world-authority'],
  ...tests.flatMap((t) => ['--test', t]),
]

/** Tests of encryption that run without it too, and listen on devices that this datapath does without. */
const leftOut = ['pod-to-pod-encryption-v2', 'node-to-node-encryption']

/** Runs the connectivity test on a cluster of its own, all of it or the tests that match `only`; answers its exit code. */
export async function testConnectivity(only: string | undefined, say: (text: string) => void): Promise<number> {
  await build()
  let end = async () => {}
  try {
    await up(2, say)
    end = await openWorld()
    await install(['hostFirewall.enabled=true', 'policyCIDRMatchMode=nodes'])
    await ready()
    await installDns(world.dns)
    const program = await prepareConnectivity()
    say('cluster is ready')
    const args = connectivityArguments(only === undefined ? leftOut.map((name) => `!${name}`) : [only])
    return await exitOf(program, args)
  } finally {
    await end()
    await down()
  }
}
