// SPDX-License-Identifier: Apache-2.0
/** Where things are and which addresses they have. Clusters with different names stand side by side. */
import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')
/** What was built once: programs and images of the cluster itself. */
export const built = join(root, '.cache/kubernetes')

/** Which cluster this process speaks of. */
export const cluster = process.env['KUBERNETES_NAME'] || 'kube'
if (!/^[a-z][a-z0-9-]{0,31}$/.test(cluster)) throw new Error(`NAME is lower-case letters and digits, not ${cluster}`)
const clusters = '/var/lib/cilium-kubernetes'
/** A link `number -> name` per cluster: the number is part of its addresses and devices. */
const numbers = join(clusters, '.numbers')
const taken = (): ReadonlyMap<string, number> => {
  try {
    return new Map(readdirSync(numbers).map((n) => [readlinkSync(join(numbers, n)), Number(n)]))
  } catch {
    return new Map()
  }
}
export const number = ((all) => {
  const used = new Set(all.values())
  return all.get(cluster) ?? Array.from({ length: 100 }, (_, n) => n).find((n) => !used.has(n)) ?? 0
})(taken())

/** Takes the cluster's number; fails when another cluster took it since this process began. */
export function claim(): void {
  if (taken().get(cluster) === number) return
  mkdirSync(numbers, { recursive: true })
  try {
    symlinkSync(cluster, join(numbers, String(number)))
  } catch (cause) {
    throw new Error(`another cluster took number ${number} at this moment: try again`, { cause })
  }
}
/** Gives the number back. */
export const release = (): void => {
  const n = taken().get(cluster)
  if (n !== undefined) rmSync(join(numbers, String(n)))
}

/** Everything of the running cluster; removed by `down`. */
export const state = join(clusters, cluster)
/** The group of a machine's processes below each cgroup hierarchy's root. */
export const groups = join('cilium-kubernetes', cluster)
export const kubeconfig = `${state}/kubeconfig`
export const bridge = `ckube${number || ''}`
/** This machine's end of the wire to a machine of the cluster. */
export const portOf = (machine: string): string => `${bridge}-${machine}`.slice(0, 15)

export const version = 'v1.34.2'
export const prefix4 = `10.77.${number}`
export const prefix6 = number === 0 ? 'fd77:' : `fd77:0:0:${number.toString(16)}:`
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
