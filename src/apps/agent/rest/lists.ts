// SPDX-License-Identifier: Apache-2.0
import { maps as contract } from '../../../../gen/contract.ts'
import { printAddress } from '../../../base/ip.ts'
import { ipcacheRows, ownerRows } from '../../../derive/addresses/tables.ts'
import { interfaceRows } from '../../../derive/interfaces/tables.ts'
import { policyClassRows, policyPageRows, policyRows, policyTableRows } from '../../../derive/policy/decisions.ts'
import { cellRows, envoyListeners, proxyPairRows } from '../../../derive/proxy/tables.ts'
import { type Frontend, frontendKey, frontends } from '../../../derive/services/frontends.ts'
import { serviceNumbers } from '../../../derive/services/numbers.ts'
import { backendRows, serviceRows, slotRows, sourceRangeRows } from '../../../derive/services/tables.ts'
import { contractMap, mapInfo } from '../../../edge/kernel/map.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import type { CiliumNode } from '../../../model/node.ts'
import { ciliumNodes, policySecrets } from '../../../model/rows.ts'
import { collectMetrics } from '../metrics.ts'
import type { Parts } from './parts.ts'

export function listRoutes(parts: Parts): readonly Route[] {
  const { db, maps, places, targets } = parts
  const get = (path: string, handle: (params: { readonly [name: string]: string }) => unknown): Route => ({
    method: 'GET',
    path,
    handle: ({ params }) => ({ body: handle(params) }),
  })
  return [
    get('/v1/cluster/nodes', () => ({
      'client-id': 0,
      'nodes-added': db.all(ciliumNodes).map((n) => nodeElement(parts, n)),
      'nodes-removed': [],
      self: `${parts.settings.node.clusterName}/${parts.settings.node.nodeName}`,
    })),
    get('/v1/node/ids', () => []),
    get('/v1/ip', () =>
      [...db.all(ownerRows), ...db.all(ipcacheRows)].map((o) => ({
        cidr: o.address.includes('/') ? o.address : `${o.address}/${o.address.includes(':') ? 128 : 32}`,
        identity: o.identity,
        encryptKey: 0,
        ...(o.node === '' ? {} : { hostIP: o.node }),
        metadata: { source: o.endpoint > 0 ? 'local' : o.address.includes('/') ? 'generated' : 'custom-resource' },
      })),
    ),
    get('/v1/service', () => db.all(frontends).map((f) => serviceModel(parts, f))),
    get('/v1/service/{id}', ({ id }) => {
      const number = db.by(serviceNumbers, 'id', id ?? '')[0]
      const frontend = number && db.get(frontends, number.frontend)
      if (!frontend) throw new RestError(404, `service ${id} not found`)
      return serviceModel(parts, frontend)
    }),
    get('/v1/map', () => {
      const byTarget = new Map(targets.statuses().map((s) => [s.table, s]))
      const rows = (name: string) => byTarget.get(tableOfMap[name] ?? '')
      return {
        maps: [...maps.maps]
          .filter(([name]) => name.startsWith('cilium_'))
          .sort()
          .map(([name]) => {
            const path = `${places.maps}/${name}`
            const written = rows(name)
            // What only the datapath writes has no rows here.
            return written ? { path, 'num-entries': written.rows, 'num-errors': written.failed } : { path }
          }),
      }
    }),
    get('/v1/map/{name}', ({ name }) => {
      const fd = maps.maps.get(name ?? '')
      const spec = contract[(name ?? '') as keyof typeof contract]
      if (fd === undefined || !spec || !('key' in spec))
        throw new RestError(404, `map ${name} not found, or it has no entries to show`)
      if (mapInfo(fd).maxEntries > 0 && spec.type === 6)
        throw new RestError(400, `map ${name} holds counters: see \`bpf metrics list\``)
      const map = contractMap(spec as typeof contract.cilium_owners, fd)
      const cache: object[] = []
      for (const [key, value] of map.entries()) {
        cache.push({ key: text(key), value: text(value), 'desired-action': 'sync' })
        if (cache.length >= 10_000) break
      }
      return { path: `${places.maps}/${name}`, cache }
    }),
    get('/v1/metrics/', () => collectMetrics(parts)),
    get('/v1/statedb', () =>
      db.tables.map((t) => ({ name: t.name, rows: db.count(t), initialised: db.isInitialised(t) })),
    ),
    get('/v1/statedb/status', () => targets.statuses()),
    get('/v1/statedb/{table}', ({ table }) => {
      const found = db.tables.find((t) => t.name === table)
      if (!found) throw new RestError(404, `no such table: ${table}`)
      if (holdSecrets.has(found.name)) throw new RestError(403, `table ${table} holds secrets: it is not shown`)
      return db.all(found)
    }),
  ]
}

/** Not even to root, who finds these where they come from: what is shown is copied, and sent to others. */
const holdSecrets: ReadonlySet<string> = new Set([policySecrets.name, envoyListeners.name])

/** Which desired table fills which map. */
const tableOfMap: { readonly [map: string]: string } = {
  cilium_owners: ownerRows.name,
  cilium_ipcache: ipcacheRows.name,
  cilium_interfaces: interfaceRows.name,
  cilium_policies: policyRows.name,
  cilium_policy_tables: policyTableRows.name,
  cilium_policy_pages: policyPageRows.name,
  cilium_class_index: policyClassRows.name,
  cilium_class_pages: policyClassRows.name,
  cilium_policy_classes: policyClassRows.name,
  cilium_policy_cells: cellRows.name,
  cilium_proxy_pairs: proxyPairRows.name,
  cilium_services: serviceRows.name,
  cilium_source_ranges: sourceRangeRows.name,
  cilium_backends: backendRows.name,
  cilium_backend_slots: slotRows.name,
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    v instanceof Uint8Array ? (v.length === 16 ? printAddress(v) : Buffer.from(v).toString('hex')) : v,
  )

/** A node in the form of Cilium's API. */
export function nodeElement({ settings }: Parts, n: CiliumNode): object {
  const of = (type: string, six: boolean) =>
    n.addresses.find((a) => a.type === type && a.address.includes(':') === six)?.address
  const family = (six: boolean) => {
    const ip = of('InternalIP', six)
    const range = n.podCIDRs.find((p) => p.includes(':') === six)
    return ip || range
      ? { enabled: true, ...(ip ? { ip } : {}), ...(range ? { 'alloc-range': range } : {}) }
      : undefined
  }
  const [ipv4, ipv6] = [family(false), family(true)]
  return {
    name: `${settings.node.clusterName}/${n.name}`,
    'primary-address': { ...(ipv4 ? { ipv4 } : {}), ...(ipv6 ? { ipv6 } : {}) },
    'secondary-addresses': n.addresses
      .filter((a) => a.type === 'CiliumInternalIP')
      .map((a) => ({ ip: a.address, enabled: true })),
    'health-endpoint-address': {},
    source: n.name === settings.node.nodeName ? 'local' : 'custom-resource',
  }
}

function serviceModel({ db }: Parts, f: Frontend): object {
  const slash = f.service.indexOf('/')
  const spec = {
    id: db.get(serviceNumbers, frontendKey(f))?.id ?? 0,
    'frontend-address': {
      ip: f.address,
      port: f.port,
      protocol: f.protocol,
      scope: f.twoScopes ? 'internal' : 'external',
    },
    'backend-addresses': f.backends.map((b) => ({
      ip: b.address,
      port: b.port,
      protocol: b.protocol,
      state: 'active',
      preferred: false,
    })),
    flags: {
      type: f.type,
      name: f.service.slice(slash + 1),
      namespace: f.service.slice(0, slash),
      trafficPolicy: 'Cluster',
      extTrafficPolicy: f.twoScopes || f.scope === 1 ? 'Local' : 'Cluster',
      intTrafficPolicy: 'Cluster',
    },
  }
  return { spec, status: { realized: spec } }
}
