// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path'

/** Where things are and which addresses they have; there is one test cluster per machine. */
export const root = join(import.meta.dirname, '../..')
/** What was built once: programs and images of the cluster itself. */
export const built = join(root, '.cache/kubernetes')
/** Everything of the running cluster; removed by `down`. */
export const state = '/var/lib/cilium-kubernetes'
export const kubeconfig = `${state}/kubeconfig`
export const bridge = 'ckube'

export const version = 'v1.34.2'
export const prefix4 = '10.77.0'
export const prefix6 = 'fd77:'
/** The machine itself, on the bridge. */
export const hostAddress = `${prefix4}.1`
export const control = { name: 'control', ipv4: `${prefix4}.2`, ipv6: `${prefix6}:2` } as const
export const apiPort = 6443
export const api = `https://${control.ipv4}:${apiPort}`
export const services = '10.96.0.0/16,fd96::/112'
export const dnsAddresses = ['10.96.0.10', 'fd96::a'] as const
/** Prefixes the controller manager gives to nodes, for `ipam.mode=kubernetes`. */
export const nodePods = '10.88.0.0/16,fd88::/48'
/** Prefixes for `ipam.mode=cluster-pool`. */
export const pool = { ipv4: '10.244.0.0/16', ipv6: 'fd44::/48' } as const

export interface Machine {
  readonly name: string
  readonly ipv4: string
  readonly ipv6: string
}
/** Node number n, from 1. */
export const machine = (n: number): Machine => ({
  name: `node-${n}`,
  ipv4: `${prefix4}.${10 + n}`,
  ipv6: `${prefix6}:${(0x10 + n).toString(16)}`,
})
