// SPDX-License-Identifier: Apache-2.0
import { writeSysctl } from '../../edge/kernel/namespace.ts'

/** Settings of the node's network namespace that routing between pods, host and wire needs; before any device is made. */
export function prepareNamespace(families: { readonly ipv4: boolean; readonly ipv6: boolean }): void {
  if (families.ipv4) {
    writeSysctl('net.ipv4.ip_forward', 1)
    // The stricter of 'all' and the device counts; replies to pods may come in another way than the route back.
    writeSysctl('net.ipv4.conf.all.rp_filter', 0)
    writeSysctl('net.ipv4.conf.default.rp_filter', 0)
  }
  if (families.ipv6) {
    writeSysctl('net.ipv6.conf.all.disable_ipv6', 0)
    writeSysctl('net.ipv6.conf.default.disable_ipv6', 0)
    writeSysctl('net.ipv6.conf.all.forwarding', 1)
    writeSysctl('net.ipv6.conf.default.accept_ra', 0)
  }
}
