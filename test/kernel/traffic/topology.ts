// SPDX-License-Identifier: Apache-2.0
// Two nodes of network namespaces with one wire, pods on them, and the real programs attached: what the agent sets up,
// by hand and as small as it gets.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Config } from '../../../gen/contract.ts'
import { address, prefix } from '../../../src/base/ip.ts'
import { attachDevice } from '../../../src/edge/kernel/attachments.ts'
import { attachCgroup, type Direction } from '../../../src/edge/kernel/link.ts'
import { inNamespace } from '../../../src/edge/kernel/namespace.ts'
import { close, networkCookie } from '../../../src/edge/kernel/syscall.ts'
import { openNode, type TestNode } from '../packets/node.ts'

export type Mode = 'native' | 'overlay'
export interface Pod {
  readonly name: string
  readonly v4: string
  readonly v6: string
  readonly identity: number
  readonly node: 1 | 2
}

/** A question put to a client, and how many milliseconds it waits for an answer. */
type Ask = (words: string, patience: number) => Promise<string>
const PATIENCE = 20_000
/** Long enough that what is let through would have arrived: an emulated machine is told to wait longer. */
const SILENCE = Number(process.env['TEST_SILENCE_MS'] ?? 1000)

const GATEWAY_MAC = '02:00:00:00:00:01'
const POD_MAC = '02:00:00:00:00:02'
const macBytes = (text: string): Uint8Array => Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16))

const run = (command: string): string => {
  const [program, ...rest] = command.split(' ')
  return execFileSync(program!, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const pod = (name: string, node: 1 | 2, host: number, identity: number): Pod => ({
  name,
  node,
  identity,
  v4: `10.50.${node}.${host}`,
  v6: `fd00:50:${node}::${host}`,
})
/** a and b live on node 1, c on node 2. Each allows TCP and UDP 80 and 53 to itself from everyone in the cluster. */
export const pods = { a: pod('a', 1, 10, 1001), b: pod('b', 1, 20, 1002), c: pod('c', 2, 30, 1003) } as const
export const nodeAddress = { 1: { v4: '192.168.50.1', v6: 'fd00:51::1' }, 2: { v4: '192.168.50.2', v6: 'fd00:51::2' } }
export const gateway = { 1: { v4: '10.50.1.1', v6: 'fd00:50:1::1' }, 2: { v4: '10.50.2.1', v6: 'fd00:50:2::1' } }
/** Lives behind node 2, outside of the cluster. */
export const outside = { v4: '203.0.113.9', v6: '2001:db8::9' }
/** Is routed to node 1 by others, which has no such address. */
export const external = { v4: '198.51.100.7', v6: '2001:db8:7::7' }

export type Cluster = ReturnType<typeof openCluster>

/** Policy number of a node itself, where nodes have a firewall; everything is allowed until a test says otherwise. */
export const hostPolicy = 9

export function openCluster(mode: Mode, firewall = false, more: Partial<Config> = {}) {
  const name = `clt${process.pid}`
  const space = (of: string) => `${name}-${of}`
  const path = (of: string) => `/run/netns/${space(of)}`
  const cgroup = `/sys/fs/cgroup/unified/${name}`
  const spaces: string[] = []
  const attached: (() => void)[] = []
  const servers: ChildProcess[] = []
  const clients = new Map<string, Ask>()
  const nodes = new Map<number, TestNode>()

  const addSpace = (of: string) => {
    run(`ip netns add ${space(of)}`)
    spaces.push(of)
    run(`ip -n ${space(of)} link set lo up`)
  }
  const ip = (of: string, line: string) => run(`ip -n ${space(of)} ${line}`)
  const sysctl = (of: string, ...settings: string[]) =>
    inNamespace(path(of), () => {
      for (const setting of settings) {
        const [key, value] = setting.split('=')
        writeFileSync(`/proc/sys/${key!.replaceAll('.', '/')}`, value!)
      }
    })
  const indexOf = (of: string, device: string): number =>
    Number(/^(\d+):/.exec(ip(of, `-o link show dev ${device}`))![1])
  const attach = (of: string, program: number, device: string, direction: Direction) =>
    attached.push(inNamespace(path(of), () => attachDevice(program, indexOf(of, device), direction)))

  const settings = (own: 1 | 2): Partial<Config> => ({
    nodeIpv4: address(nodeAddress[own].v4),
    nodeIpv6: address(nodeAddress[own].v6),
    gatewayIpv4: address(gateway[own].v4),
    gatewayIpv6: address(gateway[own].v6),
    nativeIpv4: prefix('10.50.0.0/16').address,
    nativeIpv4Bits: 96 + 16,
    nativeIpv6: prefix('fd00:50::/32').address,
    nativeIpv6Bits: 32,
    tunnel: mode === 'overlay' ? 1 : 0,
    gatewayMac: macBytes(GATEWAY_MAC),
    podMac: macBytes(POD_MAC),
    tcpPeerNames: 1,
    hostFirewall: Number(firewall),
    namespace: inNamespace(path(`n${own}`), networkCookie),
    wire: indexOf(`n${own}`, 'eth0'),
    net: indexOf(`n${own}`, 'cilium_net'),
    ...more,
  })

  const openOne = (own: 1 | 2) => {
    const of = `n${own}`
    const other = own === 1 ? 2 : 1
    sysctl(of, 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.rp_filter=0')
    ip(of, `addr add ${nodeAddress[own].v4}/24 dev eth0`)
    ip(of, `addr add ${nodeAddress[own].v6}/64 dev eth0 nodad`)
    ip(of, 'link add cilium_host type veth peer name cilium_net')
    for (const device of ['cilium_net', 'cilium_host']) ip(of, `link set ${device} up`)
    ip(of, `addr add ${gateway[own].v4}/32 dev cilium_host`)
    ip(of, `addr add ${gateway[own].v6}/128 dev cilium_host nodad`)
    const far = { v4: `10.50.${other}.0/24`, v6: `fd00:50:${other}::/64` }
    if (mode === 'native') {
      ip(of, `route add ${far.v4} via ${nodeAddress[other].v4}`)
      ip(of, `route add ${far.v6} via ${nodeAddress[other].v6}`)
    } else {
      ip(of, `route add ${far.v4} dev cilium_host mtu 1450 src ${gateway[own].v4}`)
      ip(of, `route add ${far.v6} dev cilium_host mtu 1450 src ${gateway[own].v6}`)
      // What is routed into this veth is taken by its egress program; the neighbour only has to be somebody.
      ip(of, 'link set cilium_host arp off')
    }
    if (own === 1) {
      ip(of, `route add ${outside.v4.replace(/9$/, '0')}/24 via ${nodeAddress[2].v4}`)
      ip(of, `route add ${outside.v6.replace(/9$/, '')}/64 via ${nodeAddress[2].v6}`)
    } else {
      ip(of, `addr add ${outside.v4}/32 dev lo`)
      ip(of, `addr add ${outside.v6}/128 dev lo`)
      ip(of, `route add ${external.v4}/32 via ${nodeAddress[1].v4}`)
      ip(of, `route add ${external.v6}/128 via ${nodeAddress[1].v6}`)
    }

    const node = openNode(settings(own), { cilium_events: 1 << 18, cilium_flows: 8192 })
    nodes.set(own, node)
    attach(of, node.program('from_wire'), 'eth0', 'ingress')
    attach(of, node.program('from_host'), 'cilium_host', 'egress')
    attach(of, node.program('from_net'), 'cilium_net', 'ingress')
    attach(of, node.program('to_wire'), 'eth0', 'egress')
    const host = { identity: 1, ...(firewall ? { policy: hostPolicy, endpoint: 99 } : {}) }
    for (const one of [nodeAddress[own].v4, nodeAddress[own].v6]) node.owner(one, { ...host, flags: 2 })
    for (const one of [gateway[own].v4, gateway[own].v6]) node.owner(one, { ...host, flags: 2 | 8 })
    node.policy(hostPolicy, 1, 1)
    for (const one of [nodeAddress[other].v4, nodeAddress[other].v6]) node.owner(one, { identity: 6, flags: 4 })
    const behind = mode === 'overlay' ? { node: address(nodeAddress[other].v4) } : {}
    for (const one of [gateway[other].v4, gateway[other].v6]) node.owner(one, { identity: 6, flags: 4, ...behind })
    node.table(1, { cells: [[['allow', 10]]] })
    node.table(2, {
      columns: [
        [0, 80, 80],
        [1, 53, 53],
      ],
      classes: {
        1: 2, // the node itself always may
        ...Object.fromEntries([6, ...Object.values(pods).map((each) => each.identity)].map((id) => [id, 1])),
      },
      cells: [
        [
          ['none', 20],
          ['none', 20],
          ['none', 20],
        ],
        [
          ['none', 20],
          ['allow', 21],
          ['allow', 21],
        ],
        [
          ['allow', 22],
          ['allow', 22],
          ['allow', 22],
        ],
      ],
    })
    for (const each of Object.values(pods)) {
      if (each.node === own) addPod(node, each)
      else for (const one of [each.v4, each.v6]) node.owner(one, { identity: each.identity, ...behind })
    }
  }

  const addPod = (node: TestNode, of: Pod) => {
    const host = `n${of.node}`
    const mtu = mode === 'overlay' ? 1450 : 1500
    addSpace(of.name)
    ip(
      host,
      `link add lxc${of.name} address ${GATEWAY_MAC} type veth peer name eth0 address ${POD_MAC} netns ${space(of.name)}`,
    )
    ip(host, `link set lxc${of.name} up`)
    ip(of.name, 'link set eth0 up')
    ip(of.name, `addr add ${of.v4}/32 dev eth0`)
    ip(of.name, `addr add ${of.v6}/128 dev eth0 nodad`)
    for (const one of [gateway[of.node].v4, gateway[of.node].v6]) {
      ip(of.name, `route add ${one} dev eth0`)
      ip(of.name, `route add default via ${one} mtu ${mtu}`)
    }
    ip(host, `route add ${of.v4}/32 dev lxc${of.name}`)
    ip(host, `route add ${of.v6}/128 dev lxc${of.name}`)
    const index = indexOf(host, `lxc${of.name}`)
    const policy = of.identity - 1000
    node.policy(policy, 2, 1)
    node.pod(index, { v4: of.v4, v6: of.v6, identity: of.identity, policy })
    attach(host, node.program('from_pod'), `lxc${of.name}`, 'ingress')
    attach(host, node.program('to_pod'), `lxc${of.name}`, 'egress')
  }

  const talk = join(import.meta.dirname, 'talk.ts')
  const command = (of: string, words: readonly string[], inside: boolean): readonly string[] => [
    '-c',
    `${inside ? `echo $$ > ${cgroup}/cgroup.procs; ` : ''}exec nsenter --net=${path(of)} "$0" "$@"`,
    process.execPath,
    talk,
    ...words,
  ]

  /** One process asks all questions of its namespace. */
  const client = (of: string, inside: boolean): Ask => {
    const key = `${of} ${inside}`
    const known = clients.get(key)
    if (known) return known
    const child = spawn('sh', command(of, ['ask'], inside), { stdio: ['pipe', 'pipe', 'inherit'] })
    servers.push(child)
    const waiting = new Map<string, (text: string) => void>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [number = '', ...words] = line.split(' ')
      const give = waiting.get(number)
      waiting.delete(number)
      // What others said before this answer is read by then, whichever of the pipes comes first.
      setImmediate(() => give?.(words.join(' ')))
    })
    child.once('exit', (status) => {
      for (const give of waiting.values()) give(`the client in ${of} ended with ${status}`)
    })
    let next = 0
    const ask: Ask = (words, patience) =>
      new Promise((resolve) => {
        const number = String(next++)
        waiting.set(number, resolve)
        child.stdin.write(`${number} ${words} ${patience}\n`)
      })
    clients.set(key, ask)
    return ask
  }

  const shut = () => {
    for (const server of servers) server.kill('SIGKILL')
    for (const detach of attached) detach()
    for (const node of nodes.values()) node.close()
    for (const of of spaces) run(`ip netns del ${space(of)}`)
    for (let tries = 0; tries < 50; tries++)
      try {
        rmdirSync(cgroup)
        break
      } catch {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20) // until the kernel has buried the last process
      }
  }

  mkdirSync(cgroup)
  try {
    addSpace('n1')
    addSpace('n2')
    run(`ip link add eth0 netns ${space('n1')} type veth peer name eth0 netns ${space('n2')}`)
    for (const host of ['n1', 'n2']) ip(host, 'link set eth0 up')
    openOne(1)
    openOne(2)
    const { socket } = nodes.get(1)!
    for (const [program, point] of [
      ['connect4', 'connect4'],
      ['connect6', 'connect6'],
      ['sendmsg4', 'sendmsg4'],
      ['sendmsg6', 'sendmsg6'],
      ['recvmsg4', 'recvmsg4'],
      ['recvmsg6', 'recvmsg6'],
      ['getpeername4', 'getpeername4'],
      ['getpeername6', 'getpeername6'],
    ] as const) {
      const link = attachCgroup(socket(program), cgroup, point)
      attached.push(() => close(link))
    }
  } catch (error) {
    shut()
    throw error
  }

  return {
    /** Namespaces: pods by name, nodes 'n1' and 'n2'. */
    space,
    node: (number: 1 | 2): TestNode => nodes.get(number)!,
    /** Echo servers in a namespace; resolves when they listen. */
    serve(of: string, ...ports: readonly (number | string)[]): Promise<void> {
      const child = spawn('sh', command(of, ['serve', ...ports.map(String)], false), {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      servers.push(child)
      return new Promise((resolve, reject) => {
        child.stdout.once('data', () => resolve())
        child.once('exit', (status) => reject(new Error(`server in ${of} ended with ${status}`)))
      })
    },
    /** What the agent sets up for proxies on a node: packets find their sockets, and they their servers. */
    proxyRoutes(of: 'n1' | 'n2'): void {
      for (const six of ['', '-6 ']) {
        const rule = (text: string) => ip(of, `${six}rule add ${text}`)
        const every = six ? '::/0' : '0.0.0.0/0'
        rule('pref 9 fwmark 0x200/0xf00 lookup 2004')
        for (const role of ['0xb00', '0xc00']) {
          rule(`pref 10 fwmark ${role}/0xf00 lookup main suppress_prefixlength ${six ? 127 : 31}`)
          rule(`pref 11 fwmark ${role}/0xf00 lookup 2005`)
        }
        ip(of, `${six}route replace local ${every} dev lo table 2004`)
        ip(of, `${six}route replace ${every} dev cilium_host table 2005 mtu ${mode === 'overlay' ? 1450 : 1500}`)
      }
      ip(of, 'link set cilium_host arp off')
      sysctl(of, 'net.ipv4.ip_local_port_range=20001 60999', 'net.ipv4.conf.cilium_net.accept_local=1')
    },
    /** A program in a namespace, until the end; `ready` resolves with its first line. */
    start(of: string, ...words: readonly string[]): { readonly child: ChildProcess; readonly ready: Promise<void> } {
      const child = spawn('nsenter', [`--net=${path(of)}`, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
      servers.push(child)
      const ready = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
      child.stdout.resume()
      return { child, ready }
    },
    /**
     * A proxy on a node whose listener has this port, for what pods send or what they get; resolves when it listens.
     * `said` is what it did so far.
     */
    async proxy(
      of: 'n1' | 'n2',
      port: number,
      direction: 'egress' | 'ingress' = 'egress',
    ): Promise<{ readonly said: readonly string[]; stop(): Promise<void> }> {
      const said: string[] = []
      const words = command(of, [], false).slice(0, 3)
      const child = spawn('sh', [...words, join(import.meta.dirname, 'proxy.ts'), String(port), direction], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      servers.push(child)
      const lines = createInterface({ input: child.stdout })
      await new Promise<void>((resolve, reject) => {
        lines.once('line', () => resolve())
        child.once('exit', (status) => reject(new Error(`proxy in ${of} ended with ${status}`)))
      })
      lines.on('line', (line) => said.push(line))
      return {
        said,
        async stop() {
          const gone = once(child, 'exit')
          child.kill('SIGKILL')
          await gone
        },
      }
    },
    /** What a client in a namespace has to say; `inside`: it is in the cgroup of the socket programs. */
    ask: (of: string, words: string, inside = false): Promise<string> => client(of, inside)(words, PATIENCE),
    /** The same where no answer is expected: it waits a second, and an emulated machine some more. */
    askInVain: (of: string, words: string, inside = false): Promise<string> => client(of, inside)(words, SILENCE),
    close: shut,
  }
}
