// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../edge/runtime/clock.ts'
import { errorText, openScope } from '../../edge/runtime/scope.ts'
import { dualStack, ipv6Only } from './api/allocation.ts'
import { openLabApi } from './api/api.ts'
import { addressList, makeBridge } from './bridge.ts'
import { serveControl } from './control.ts'
import { allControllers } from './controllers/all.ts'
import { runControllers } from './controllers/queue.ts'
import { imageTable } from './images/images.ts'
import { makeCgroups } from './kubelet/cgroups.ts'
import { createKubelet, type Kubelet } from './kubelet/kubelet.ts'
import { createObject, dnsAddresses, nodePrefixes, systemObjects } from './manifests.ts'
import { nodeName, openWiredNode } from './nodes.ts'
import { missing, untilReady } from './readiness.ts'
import { type LabSettings, projectRoot } from './settings.ts'
import { labPaths, makeDirectory, writeWhole } from './state.ts'

const apiPort = 6443
/** Of the tokens that stand for pods' service accounts. */
const tokenSeconds = 365 * 24 * 3600

/** What happens while a lab starts, for its command line. */
export type Progress = { readonly step: string } | { readonly missing: readonly string[] } | { readonly ready: true }

/** The lab's one process: API server, controllers, scheduler and the kubelets of all nodes. */
export interface Lab {
  /** Ends pods, nodes and the server. */
  close(): Promise<void>
}

/** Starts a lab where nothing of that name is left; resolves once it works, before its pods run. */
export const startLab = async (settings: LabSettings, tell: (progress: Progress) => void): Promise<Lab> => {
  const log = (text: string) => console.log(`${new Date().toISOString()} ${text}`)
  const report = (what: string, error: unknown) => log(`${what}: ${errorText(error)}`)
  const paths = labPaths(settings.name)
  const root = projectRoot()
  makeDirectory(paths)
  const own = makeCgroups(`${paths.cgroup}/lab`)
  writeFileSync(join(own.unified, 'cgroup.procs'), String(process.pid))

  const network = await makeBridge(settings.name, settings.ipv6Only)
  const hosts = addressList(network.host)
  const kubelets = new Map<string, Kubelet>()
  const scope = openScope('lab', { onError: report })
  const [api, ...nodes] = await Promise.all([
    openLabApi({
      clock: systemClock,
      address: hosts[0] ?? '',
      port: apiPort,
      names: [...hosts, '10.96.0.1', 'fd00:10:96::1'],
      services: settings.ipv6Only ? ipv6Only : dualStack,
      findKubelet: (name) => kubelets.get(name),
      report: (error) => report('api', error),
    }),
    ...Array.from({ length: settings.nodes }, (_, i) => openWiredNode(settings, network, i + 1, root)),
  ])
  const { store } = api
  writeWhole(
    paths.kubeconfig,
    api.kubeconfig(settings.name === 'default' ? 'cilium-lab' : `cilium-lab-${settings.name}`),
  )
  tell({ step: `${settings.nodes} nodes and the API at ${api.url}` })

  const controllers = runControllers(
    store,
    allControllers(store, api.authority, nodePrefixes(settings)),
    (name, key, error) => report(`${name} ${key}`, error),
  )
  const images = imageTable({ root, map: settings.images })
  nodes.forEach(({ node, cgroups, addresses }, i) => {
    const kubelet = createKubelet({
      node,
      store,
      images,
      addresses: addressList(addresses),
      cgroups,
      clusterDns: dnsAddresses(settings),
      clusterDomain: 'cluster.local',
      labels: i === 0 ? { 'node-role.kubernetes.io/control-plane': '' } : {},
      token: (namespace, account) => api.access.issue(namespace, account, tokenSeconds, systemClock.now()),
      ca: api.authority,
      scope: scope.child(nodeName(i + 1)),
      clock: systemClock,
    })
    kubelets.set(node.name, kubelet)
    kubelet.start()
    void node.closed.then(() => log(`${node.name} ended`))
  })
  if (!settings.bare) {
    const placement = { root, apiHost: hosts[0] ?? '', apiPort: api.port, cgroups: join(own.unified, '..') }
    for (const object of systemObjects(settings, placement)) createObject(store, object)
  }

  const control = await serveControl(paths.control, {
    status: () => ({
      name: settings.name,
      url: api.url,
      nodes: nodes.map(({ node, addresses }) => ({
        name: node.name,
        pid: node.pid,
        addresses: addressList(addresses),
      })),
      missing: missing(store, settings.nodes, settings.bare),
    }),
    enterPod: (namespace, name) => {
      const node = store.get<{ spec: { nodeName?: string } } & ReturnType<typeof store.get>>('pods', namespace, name)
        .spec.nodeName
      const kubelet = kubelets.get(node ?? '')
      if (!kubelet) throw new Error(`pod ${namespace}/${name} runs on no node yet`)
      return kubelet.enterPod(namespace, name, [])
    },
  })
  void untilReady(store, settings.nodes, settings.bare, (what) => tell({ missing: what })).then(() => {
    log('ready')
    tell({ ready: true })
  })

  return {
    close: async () => {
      control.close()
      controllers.close()
      await Promise.allSettled([...kubelets.values()].map((k) => k.close()))
      await scope.close()
      await Promise.allSettled(nodes.map(({ node }) => node.close()))
      await api.close()
    },
  }
}
