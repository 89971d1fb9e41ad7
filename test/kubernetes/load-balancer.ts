// SPDX-License-Identifier: Apache-2.0
/**
 * A stand-in for a cloud: gives services of type LoadBalancer an address and leads this machine's packets for it to nodes,
 * by the routes of the control plane's machine. With `externalTrafficPolicy: Local` only to those that say on the
 * healthCheckNodePort that they have a server. Everything of it goes with the bridge and that machine.
 */
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { kubeconfigAccess } from '../../src/edge/kube/access.ts'
import { MERGE_PATCH, openKube } from '../../src/edge/kube/client.ts'
import { type KubeObject, SERVICES } from '../../src/edge/kube/resource.ts'
import { inMachine, nodeNames } from './cluster.ts'
import { bridge, control, kubeconfig, machine, number } from './places.ts'
import { output } from './run.ts'

const finalizer = 'service.kubernetes.io/load-balancer-cleanup'
const range = `10.78.${number}`
/** What this machine comes from: no address of the nodes' subnet, so that tests can tell. */
const client = `198.18.${number}.1`

interface Service extends KubeObject {
  readonly metadata: KubeObject['metadata'] & { readonly finalizers?: readonly string[] }
  readonly spec: {
    readonly type: string
    readonly externalTrafficPolicy?: string
    readonly healthCheckNodePort?: number
    readonly sessionAffinity?: string
  }
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }
}

const healthy = (node: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const request = http.get({ host: node, port, timeout: 1000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })

/** Begins; what it returns ends it. */
export async function loadBalancers(): Promise<() => Promise<void>> {
  await output('ip', ['addr', 'add', `${client}/32`, 'dev', bridge])
  await output('ip', ['route', 'add', `${range}.0/24`, 'via', control.ipv4, 'src', client])
  const settings = ['fib_multipath_hash_policy=1', 'conf.all.send_redirects=0', 'conf.eth0.send_redirects=0']
  await inMachine(control.name, ['sysctl', '-qw', ...settings.map((s) => `net.ipv4.${s}`)])
  await inMachine(control.name, ['ip', 'route', 'add', 'unreachable', `${range}.0/24`])
  const kube = openKube(kubeconfigAccess(kubeconfig))
  const nodes = nodeNames().map((name) => machine(Number(name.replace('node-', ''))).ipv4)
  /** Service by its number, and where its packets go. */
  const given = new Map<string, number>()
  const routes = new Map<string, string>()

  const nodesFor = async ({ spec }: Service): Promise<readonly string[]> => {
    const port = spec.externalTrafficPolicy === 'Local' ? (spec.healthCheckNodePort ?? 0) : 0
    const answers = await Promise.all(nodes.map((node) => port === 0 || healthy(node, port)))
    const all = nodes.filter((_, i) => answers[i])
    // Each node keeps clients apart from the others: who is to keep its server keeps its node.
    return spec.sessionAffinity === 'ClientIP' ? all.slice(0, 1) : all
  }
  const lead = async (address: string, to: readonly string[]): Promise<void> => {
    const text = to.join()
    if ((routes.get(address) ?? '') === text) return
    const hops = to.flatMap((node) => ['nexthop', 'via', node])
    await inMachine(control.name, ['ip', 'route', to.length > 0 ? 'replace' : 'del', `${address}/32`, ...hops])
    routes.set(address, text)
  }
  const sync = async (service: Service): Promise<void> => {
    const { namespace = '', name, deletionTimestamp, finalizers = [] } = service.metadata
    const key = `${namespace}/${name}`
    const wanted = service.spec.type === 'LoadBalancer' && deletionTimestamp === undefined
    const patch = (body: unknown, subresource?: string): Promise<unknown> =>
      kube.patch(SERVICES, namespace, name, body, { type: MERGE_PATCH, ...(subresource ? { subresource } : {}) })
    if (!wanted && !finalizers.includes(finalizer)) return
    const number = given.get(key) ?? Math.max(0, ...given.values()) + 1
    given.set(key, number)
    const address = `${range}.${number}`
    await lead(address, wanted ? await nodesFor(service) : [])
    const ingress = wanted ? [{ ip: address, ipMode: 'VIP' }] : []
    if (service.status?.loadBalancer?.ingress?.[0]?.ip !== ingress[0]?.ip)
      await patch({ status: { loadBalancer: { ingress } } }, 'status')
    if (wanted !== finalizers.includes(finalizer))
      await patch({
        metadata: { finalizers: [...finalizers.filter((f) => f !== finalizer), ...(wanted ? [finalizer] : [])] },
      })
  }

  let ends = false
  const work = (async () => {
    while (!ends) {
      const { items } = await kube.list<Service>(SERVICES).catch(() => ({ items: [] }))
      // Whatever goes wrong is tried again: a service may have changed or gone meanwhile.
      for (const service of items) await sync(service).catch(() => {})
      await sleep(500)
    }
  })()
  return async () => {
    ends = true
    await work
    kube.close()
  }
}
