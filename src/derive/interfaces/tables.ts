// SPDX-License-Identifier: Apache-2.0
import type { InterfaceRow } from '../../model/datapath.ts'
import { type Endpoint, podMac } from '../../model/endpoint.ts'
import { reserved } from '../../model/identity.ts'
import { deriveEach } from '../../table/definition.ts'
import { policyOf } from '../addresses/tables.ts'
import { endpoints } from '../endpoints/tables.ts'

/** cilium_interfaces: what may come out of each pod's interface. */
export const interfaceRows = deriveEach<Endpoint, InterfaceRow>(
  'interfaces',
  endpoints,
  {
    key: (i) => String(i.index),
    columns: [
      ['INDEX', (i) => String(i.index)],
      ['ENDPOINT', (i) => String(i.endpoint)],
      ['IDENTITY', (i) => String(i.identity)],
      ['POLICY', (i) => String(i.policy)],
    ],
  },
  (e, read) =>
    e.interface === 0
      ? []
      : [
          {
            index: e.interface,
            ipv4: e.ipv4,
            ipv6: e.ipv6,
            identity: e.identity === 0 ? reserved.init : e.identity,
            policy: policyOf(read, e),
            endpoint: e.id,
            flags: 0,
            mac: podMac,
          },
        ],
)
