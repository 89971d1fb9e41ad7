// SPDX-License-Identifier: Apache-2.0
/**
 * What the paths are measured against, in namespaces of their own: `direct`, one veth pair between two namespaces (the
 * ceiling); `routed`, the layout pods have, without any BPF; `wired`, the same across two nodes that share a bridge.
 */
import { execFileSync } from 'node:child_process'

export interface Pair {
  /** Command prefixes that run a program where the client and the server live. */
  readonly client: readonly string[]
  readonly server: readonly string[]
  readonly serverIPv4: string
  readonly serverIPv6: string
}

const sh = (script: string): void => {
  execFileSync('/bin/sh', ['-euc', script], { stdio: ['ignore', 'ignore', 'inherit'] })
}
const inside = (name: string): readonly string[] => ['nsenter', `--net=/run/netns/nb-${name}`]

const node = (name: string): string => `
  ip netns add nb-${name}; ip -n nb-${name} link set lo up
  ip netns exec nb-${name} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv6.conf.default.accept_dad=0`

const pod = (name: string, at: string, v4: string, v6: string): string => `
  ip netns add nb-${name}; ip -n nb-${name} link set lo up
  ip netns exec nb-${name} sysctl -qw net.ipv6.conf.default.accept_dad=0
  ip -n nb-${at} link add ${name} type veth peer name eth0 netns nb-${name}
  ip -n nb-${at} link set ${name} up; ip -n nb-${name} link set eth0 up
  ip -n nb-${at} addr replace 169.254.1.1/32 dev ${name}; ip -n nb-${at} addr replace fe80::1/64 dev ${name} nodad
  ip -n nb-${name} addr add ${v4}/32 dev eth0; ip -n nb-${name} addr add ${v6}/128 dev eth0 nodad
  ip -n nb-${name} route add default via 169.254.1.1 dev eth0 onlink; ip -n nb-${name} -6 route add default via fe80::1 dev eth0
  ip -n nb-${at} route add ${v4}/32 dev ${name}; ip -n nb-${at} -6 route add ${v6}/128 dev ${name}`

export function removeBaselines(): void {
  sh(
    `for n in $(ip netns list | awk '/^nb-/{print $1}'); do ip netns del $n; done; ip link del nb-bridge 2>/dev/null || true`,
  )
}

export function direct(): Pair {
  sh(`ip netns add nb-dc; ip netns add nb-ds
    for n in nb-dc nb-ds; do ip -n $n link set lo up; done
    ip -n nb-dc link add eth0 type veth peer name eth0 netns nb-ds
    ip -n nb-dc addr add 10.9.0.1/24 dev eth0; ip -n nb-ds addr add 10.9.0.2/24 dev eth0
    ip -n nb-dc addr add fd09::1/64 dev eth0 nodad; ip -n nb-ds addr add fd09::2/64 dev eth0 nodad
    ip -n nb-dc link set eth0 up; ip -n nb-ds link set eth0 up`)
  return { client: inside('dc'), server: inside('ds'), serverIPv4: '10.9.0.2', serverIPv6: 'fd09::2' }
}

export function routed(): Pair {
  sh(node('rn') + pod('rc', 'rn', '10.9.1.1', 'fd09:1::1') + pod('rs', 'rn', '10.9.1.2', 'fd09:1::2'))
  return { client: inside('rc'), server: inside('rs'), serverIPv4: '10.9.1.2', serverIPv6: 'fd09:1::2' }
}

export function wired(): Pair {
  const join = (n: number): string => `
    ip link add nb-w${n} type veth peer name eth0 netns nb-w${n}; ip link set nb-w${n} master nb-bridge up
    ip -n nb-w${n} addr add 10.9.2.${n}/24 dev eth0; ip -n nb-w${n} addr add fd09:2::${n}/64 dev eth0 nodad; ip -n nb-w${n} link set eth0 up`
  const route = (n: number, other: number): string => `
    ip -n nb-w${n} route add 10.9.${2 + other}.0/24 via 10.9.2.${other}; ip -n nb-w${n} -6 route add fd09:${2 + other}::/64 via fd09:2::${other}`
  sh(
    `ip link add nb-bridge type bridge; ip link set nb-bridge up` +
      node('w1') +
      node('w2') +
      join(1) +
      join(2) +
      route(1, 2) +
      route(2, 1) +
      pod('wc', 'w1', '10.9.3.1', 'fd09:3::1') +
      pod('ws', 'w2', '10.9.4.1', 'fd09:4::1'),
  )
  return { client: inside('wc'), server: inside('ws'), serverIPv4: '10.9.4.1', serverIPv6: 'fd09:4::1' }
}
