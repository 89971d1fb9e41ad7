// SPDX-License-Identifier: Apache-2.0
/** `make kubernetes-up`, `kubernetes-down`, `test-kubernetes`, and the tests of others. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from './build.ts'
import { down, up } from './cluster.ts'
import { testConnectivity } from './connectivity.ts'
import { kubeconfig } from './places.ts'
import { install, installDns, ready } from './product.ts'
import { testClusterNetworkPolicy, testNetwork, testNetworkPolicy } from './suites.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: 'string', default: '2' },
    bare: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    only: { type: 'string' },
  },
})
const began = performance.now()
const say = (text: string): void =>
  console.error(`kubernetes: ${text} (${((performance.now() - began) / 1000).toFixed(1)} s)`)

async function main(): Promise<void> {
  switch (positionals[0]) {
    case 'up': {
      const nodes = Number(values.nodes)
      if (!(nodes >= 1 && nodes <= 9)) throw new Error(`NODES is a number from 1 to 9, not ${values.nodes}`)
      await build()
      await up(nodes, say)
      if (!values.bare) {
        await install(values.set)
        await ready()
        say('nodes are ready')
        await installDns()
        say('name server is ready')
      }
      console.log(`export KUBECONFIG=${kubeconfig}`)
      return
    }
    case 'down':
      return down()
    case 'test': {
      const only = values.only === undefined ? [] : [`--test-name-pattern=${values.only}`]
      const files = readdirSync(import.meta.dirname)
        .filter((f) => f.endsWith('.test.ts'))
        .map((f) => join(import.meta.dirname, f))
      const child = spawn(process.execPath, ['--test', '--test-concurrency=1', ...only, ...files], { stdio: 'inherit' })
      process.exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
      return
    }
    case 'connectivity':
      process.exitCode = await testConnectivity(values.only, say)
      return
    case 'network':
      process.exitCode = (await testNetwork(values.only, say)).code
      return
    case 'networkpolicy':
      process.exitCode = (await testNetworkPolicy(values.only, say)).code
      return
    case 'clusternetworkpolicy':
      process.exitCode = await testClusterNetworkPolicy(values.only, say)
      return
    default:
      throw new Error(
        `no such command: ${positionals[0] ?? ''}; there are up, down, test, connectivity, network, networkpolicy, clusternetworkpolicy`,
      )
  }
}

await main().catch((e: unknown) => {
  console.error(`kubernetes: ${e instanceof Error ? e.message : e}`)
  process.exit(1)
})
