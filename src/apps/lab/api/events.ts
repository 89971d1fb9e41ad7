// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Resource } from '../../../protocol/kubeapi/resources.ts'

/** How discovery shows the newer API of events; they are stored as core/v1. */
export const eventsResource: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  versions: ['v1'],
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  namespaced: true,
  shortNames: ['ev'],
  categories: [],
  status: false,
  generation: false,
  custom: false,
}

const renames = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
] as const

const renamed = (object: object, from: 0 | 1): object => {
  const names = new Map<string, string>(renames.map((pair) => [pair[from], pair[1 - from]!]))
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [names.get(key) ?? key, value]))
}

/** A stored event as `events.k8s.io/v1` shows it. */
export const toNewEvent = (event: KubeObject): KubeObject =>
  ({ ...renamed(event, 0), apiVersion: 'events.k8s.io/v1' }) as KubeObject

/** An `events.k8s.io/v1` event as it is stored. */
export const fromNewEvent = (event: Record<string, unknown>): Record<string, unknown> => ({
  ...renamed(event, 1),
  apiVersion: 'v1',
})
