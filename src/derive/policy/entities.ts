// SPDX-License-Identifier: Apache-2.0
import { clusterKey } from '../../model/labels.ts'
import type { Peer, Requirement } from './rule.ts'

const exists = (source: string, key: string): Requirement => ({ source, key, operator: 'Exists', values: [] })
const reservedPeer = (name: string): Peer => ({ kind: 'labels', requirements: [exists('reserved', name)] })
const reservedPeers = (...names: readonly string[]): readonly Peer[] => names.map(reservedPeer)

/** Who an entity of fromEntities / toEntities is; `all` is everybody; undefined is no entity. */
export function entityPeers(entity: string, clusterName: string): 'all' | readonly Peer[] | undefined {
  switch (entity) {
    case 'all':
      return 'all'
    case 'none':
      return []
    case 'world':
      return reservedPeers('world', 'world-ipv4', 'world-ipv6')
    case 'cluster':
    case 'cluster-mesh':
      return [
        ...reservedPeers('host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'),
        {
          kind: 'labels',
          requirements: [
            entity === 'cluster'
              ? { source: 'k8s', key: clusterKey, operator: 'In', values: [clusterName] }
              : exists('k8s', clusterKey),
          ],
        },
      ]
    case 'host':
    case 'remote-node':
    case 'kube-apiserver':
    case 'ingress':
    case 'init':
    case 'health':
    case 'unmanaged':
    case 'world-ipv4':
    case 'world-ipv6':
      return reservedPeers(entity)
    default:
      return undefined
  }
}

export const entityNames: readonly string[] = [
  'all',
  'world',
  'cluster',
  'cluster-mesh',
  'host',
  'remote-node',
  'kube-apiserver',
  'ingress',
  'init',
  'health',
  'unmanaged',
  'none',
  'world-ipv4',
  'world-ipv6',
]
