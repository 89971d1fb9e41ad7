// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../../base/time.ts'
import { builtinResources } from '../../../protocol/kubeapi/resources.ts'
import { type Access, openAccess } from './access.ts'
import { openAdmission } from './admission.ts'
import { dualStack, type ServiceRanges } from './allocation.ts'
import { type Crds, openCrds } from './crds.ts'
import { openStore } from './memory.ts'
import { openAuthority } from './pki.ts'
import { seed } from './seeds.ts'
import { openApiServer } from './server.ts'
import type { Store } from './store.ts'
import type { FindKubelet } from './streams.ts'

export interface LabApiOptions {
  readonly clock: Clock
  /** Where to listen; this address and loopback are in the certificate. */
  readonly address: string
  /** 0 takes a free one. */
  readonly port: number
  /** More names or addresses for the certificate, such as the ClusterIP of `kubernetes`. */
  readonly names?: readonly string[]
  readonly findKubelet: FindKubelet
  /** Where services get their addresses; both families by default. */
  readonly services?: ServiceRanges
  readonly report?: (error: unknown) => void
}

/** The lab's running API. */
export interface LabApi {
  readonly store: Store
  readonly crds: Crds
  readonly access: Access
  /** `https://ADDRESS:PORT` */
  readonly url: string
  readonly port: number
  /** The authority's certificate, PEM. */
  readonly authority: string
  /** A kubeconfig of the administrator, YAML, for a server URL (the own one by default). */
  kubeconfig(name: string, url?: string): string
  /** Cuts all connections and listens no more, while the store lives on: an API server that is away. */
  pause(): Promise<void>
  /** Listens again, at the same address. */
  resume(): Promise<void>
  close(): Promise<void>
}

/** Opens the store with its kinds and first objects, and serves it. */
export async function openLabApi(options: LabApiOptions): Promise<LabApi> {
  const { clock, address, report = () => {} } = options
  let crds: Crds | undefined
  const admission = openAdmission(options.services ?? dualStack, () => crds)
  const store = openStore({
    ...admission,
    clock,
    resources: builtinResources,
    selectableFields: (resource) => crds?.selectableFields(resource) ?? [],
    report,
  })
  crds = openCrds(store, () => clock.now())
  const authority = await openAuthority(clock.now())
  const names = ['localhost', '127.0.0.1', '::1', address, ...serviceNames, ...(options.names ?? [])]
  const tls = await authority.serving('kube-apiserver', [...new Set(names)])
  const access = openAccess(() => clock.now(), 'https://kubernetes.default.svc.cluster.local')
  const serve = (port: number) =>
    openApiServer({ ...options, port, store, crds, access, tls, authority: authority.certificate })
  let server = await serve(options.port)
  const { port } = server
  seed(store, authority.certificate, address, port, options.services ?? dualStack)
  const host = address.includes(':') ? `[${address}]` : address
  const ownUrl = `https://${host}:${port}`
  return {
    store,
    crds,
    access,
    url: ownUrl,
    port,
    authority: authority.certificate,
    kubeconfig: (name, url = ownUrl) => kubeconfig(name, url, authority.certificate, access.adminToken),
    pause: () => server.close(),
    async resume() {
      server = await serve(port)
    },
    close: () => server.close(),
  }
}

const serviceNames = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
]

const kubeconfig = (name: string, url: string, authority: string, token: string): string => `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: ${url}
    certificate-authority-data: ${Buffer.from(authority).toString('base64')}
users:
- name: ${name}
  user:
    token: ${token}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}
current-context: ${name}
`
