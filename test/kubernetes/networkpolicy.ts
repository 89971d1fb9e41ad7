// SPDX-License-Identifier: Apache-2.0
/** Kubernetes' own end-to-end tests of NetworkPolicy on a cluster with the product: `make test-networkpolicy`. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { build, buildNetworkPolicy } from './build.ts'
import { down, up } from './cluster.ts'
import { kubeconfig } from './places.ts'
import { install, installDns, ready } from './product.ts'

/** Runs the tests whose names match `only`, or all; answers the exit code. */
export async function testNetworkPolicy(only: string | undefined, say: (text: string) => void): Promise<number> {
  await build()
  const program = await buildNetworkPolicy()
  const skipped: string[] = []
  // The servers of these tests open SCTP sockets.
  if (!/^SCTP/m.test(readFileSync('/proc/net/protocols', 'utf8'))) {
    say('this kernel has no SCTP sockets: tests of [Feature:SCTPConnectivity] are skipped')
    skipped.push('--ginkgo.skip=SCTPConnectivity')
  }
  try {
    await up(2, say)
    await install()
    await ready()
    await installDns()
    say('cluster is ready')
    const focus = `--ginkgo.focus=NetworkPolicy.*${only ?? ''}`
    const places = ['--kubeconfig', kubeconfig, '--provider=local', '--num-nodes=2']
    const args = [...places, focus, ...skipped, '--ginkgo.timeout=3h', '--ginkgo.no-color']
    const child = spawn(program, args, { stdio: 'inherit' })
    return await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
  } finally {
    await down()
  }
}
