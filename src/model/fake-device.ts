// SPDX-License-Identifier: Apache-2.0
// For tests: what the machine would have told.
import type { Device } from './node.ts'

/** A veth that is up and has no address. */
export const fakeDevice = (index: number, name: string): Device => ({
  index,
  name,
  mac: '',
  mtu: 1500,
  up: true,
  kind: 'veth',
  addresses: [],
  wire: false,
})
