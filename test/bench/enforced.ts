// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside a node: for every line on stdin, `on` or `off`, waits until all endpoints with the label `bench=many`
 * enforce ingress, or none does, and prints the time of that in milliseconds since the epoch.
 */
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'

const socketPath = '/var/run/cilium/cilium.sock'
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

interface Endpoint {
  readonly status: {
    readonly identity?: { readonly labels: readonly string[] }
    readonly policy?: { readonly realized?: { readonly 'policy-enabled'?: string } }
  }
}

const endpoints = (): Promise<readonly Endpoint[]> =>
  new Promise((resolve, reject) => {
    request({ socketPath, agent, path: '/v1/endpoint' }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString()) as Endpoint[]))
    })
      .on('error', reject)
      .end()
  })

for await (const wanted of createInterface({ input: process.stdin })) {
  for (;;) {
    const many = (await endpoints()).filter((e) => e.status.identity?.labels.includes('k8s:bench=many'))
    const enforced = many.filter((e) => e.status.policy?.realized?.['policy-enabled'] === 'ingress').length
    if (enforced === (wanted === 'on' ? many.length : 0)) break
  }
  console.log(performance.timeOrigin + performance.now())
}
