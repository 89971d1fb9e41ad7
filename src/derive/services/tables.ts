// SPDX-License-Identifier: Apache-2.0
import {
  type BackendRow,
  type ServiceRow,
  type SlotsRow,
  type SourceRangeRow,
  serviceFlag,
} from '../../model/datapath.ts'
import { deriveEach } from '../../table/definition.ts'
import { type Frontend, frontendKey, frontends } from './frontends.ts'
import {
  type BackendNumber,
  backendNumbers,
  isKernels,
  protocolNumber,
  type SlotRun,
  serviceNumbers,
  slotRuns,
} from './numbers.ts'

/** cilium_backends */
export const backendRows = deriveEach<BackendNumber, BackendRow>(
  'backends',
  backendNumbers,
  {
    key: (b) => String(b.backend),
    columns: [
      ['ID', (b) => String(b.backend)],
      ['ADDRESS', (b) => b.address],
      ['PORT', (b) => String(b.port)],
    ],
  },
  ({ number, backend }) =>
    backend
      ? [
          {
            backend: number,
            address: backend.address,
            port: backend.port,
            protocol: protocolNumber[backend.protocol],
            state: 0,
          },
        ]
      : [],
)

/** cilium_backend_slots */
export const slotRows = deriveEach<SlotRun, SlotsRow>(
  'backendSlots',
  slotRuns,
  { key: (s) => String(s.first) },
  (run) => (run.backends.length === 0 || isKernels(run) ? [] : [{ first: run.first, backends: run.backends }]),
)

/** cilium_services */
export const serviceRows = deriveEach<Frontend, ServiceRow>(
  'serviceEntries',
  frontends,
  {
    key: (s) => `${s.address} ${s.port}/${s.protocol}/${s.scope}`,
    indexes: { id: (s) => [String(s.id)] },
    columns: [
      ['ID', (s) => String(s.id)],
      ['ADDRESS', (s) => s.address],
      ['PORT', (s) => String(s.port)],
      ['BACKENDS', (s) => String(s.count)],
    ],
  },
  (f, read) => {
    const run = read.get(slotRuns, frontendKey(f))
    const id = read.get(serviceNumbers, frontendKey(f))?.id
    if (!run || id === undefined) return []
    return [
      {
        address: f.address,
        port: f.port,
        protocol: protocolNumber[f.protocol],
        scope: f.scope,
        slots: run.first,
        count: run.backends.length,
        flags:
          (f.type === 'ClusterIP' ? 0 : serviceFlag.external) |
          (f.twoScopes ? serviceFlag.twoScopes : 0) |
          (f.ranges.length > 0 ? serviceFlag.ranges : 0),
        id,
        affinity: f.affinity,
      },
    ]
  },
)

/** cilium_source_ranges */
export const sourceRangeRows = deriveEach<Frontend, SourceRangeRow>(
  'sourceRanges',
  frontends,
  { key: (r) => `${r.id} ${r.prefix}` },
  (f, read) => {
    const id = read.get(serviceNumbers, frontendKey(f))?.id
    return id === undefined ? [] : [...new Set(f.ranges)].map((prefix) => ({ id, prefix }))
  },
)
