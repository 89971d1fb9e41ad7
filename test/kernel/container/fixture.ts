// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openStore } from '../../../src/apps/lab/api/memory.ts'
import type { Store } from '../../../src/apps/lab/api/store.ts'
import { imageTable } from '../../../src/apps/lab/images/images.ts'
import { type Cgroups, makeCgroups, removeCgroups } from '../../../src/apps/lab/kubelet/cgroups.ts'
import { createKubelet, type Kubelet } from '../../../src/apps/lab/kubelet/kubelet.ts'
import type { Pod } from '../../../src/apps/lab/kubelet/manifest.ts'
import { type LabNode, openNode, runToEnd } from '../../../src/apps/lab/kubelet/node.ts'
import { systemClock } from '../../../src/edge/runtime/clock.ts'
import { openScope } from '../../../src/edge/runtime/scope.ts'
import { builtinResources } from '../../../src/protocol/kubeapi/resources.ts'

export const root = resolve(import.meta.dirname, '../../..')

/** A node for one test file; its name carries the process id, so that two runs do not meet. */
export async function testNode(name: string): Promise<LabNode & { cgroups: Cgroups; end(): Promise<void> }> {
  execFileSync('make', ['-s', 'build/native/lab-node', 'build/native/lab-http', '-f', 'native/build.mk'], { cwd: root })
  const directory = mkdtempSync(join(tmpdir(), 'cilium-test-node-'))
  const path = `cilium-test-${process.pid}/${name}`
  const cgroups = makeCgroups(path)
  const node = await openNode({
    name,
    program: join(root, 'build/native/lab-node'),
    socket: join(directory, 'socket'),
    cgroups: cgroups.all,
    files: {
      '/etc/hosts': '127.0.0.1 localhost\n',
      '/etc/resolv.conf': 'nameserver 192.0.2.53\nsearch example.test\n',
    },
  })
  return Object.assign(node, {
    cgroups,
    async end() {
      await node.close()
      await removeCgroups({ all: cgroups.all.map((d) => d.replace(path, path.split('/')[0]!)) })
      rmSync(directory, { recursive: true, force: true })
    },
  })
}

/** A shell command among the node's files. */
export const shell = async (node: LabNode, command: string) =>
  runToEnd(node, { arg: ['/bin/sh', '-c', command], env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] })

/** A plugin that gives pods 10.99.0.N over a veth pair, and notes every call in /var/log/cni. */
const plugin = `#!/bin/sh
config=$(cat)
echo "$CNI_COMMAND $CNI_ARGS" >> /var/log/cni
echo "$config" >> /var/log/cni-config
short=$(echo "$CNI_CONTAINERID" | cut -c1-8)
case $CNI_COMMAND in
ADD)
  [ -e /run/refuse-add ] && { echo '{"cniVersion":"1.0.0","code":11,"msg":"try again later","details":"the agent is away"}'; exit 1; }
  n=$(cat /run/last 2>/dev/null || echo 1); n=$((n + 1)); echo $n > /run/last
  ip link add "lxc$short" type veth peer name eth0 netns "$(basename "$CNI_NETNS")"
  ip link set "lxc$short" up
  ip route add "10.99.0.$n/32" dev "lxc$short" src 10.99.0.1
  ip -n "$(basename "$CNI_NETNS")" addr add "10.99.0.$n/32" dev eth0
  ip -n "$(basename "$CNI_NETNS")" link set eth0 up
  ip -n "$(basename "$CNI_NETNS")" route add default dev eth0
  echo '{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.'$n'/32"},{"address":"fd00:99::'$n'/128"}]}'
  ;;
DEL)
  [ -e /run/refuse-del ] && { echo '{"code":11,"msg":"not now"}'; exit 1; }
  ip link del "lxc$short" 2>/dev/null
  exit 0
  ;;
esac
`

export interface TestKubelet {
  readonly node: LabNode
  readonly store: Store
  readonly kubelet: Kubelet
  create(name: string, spec: object, more?: object): Pod
  get(name: string): Pod | undefined
  /** Resolves when the pod is so; fails with what it is instead. Undefined stands for a pod that is gone. */
  until(name: string, is: (pod: Pod | undefined) => boolean): Promise<Pod | undefined>
  /** Text of the events of a pod, `Reason: message`, in order. */
  events(name: string): readonly string[]
  installNetwork(): void
  cniCalls(): readonly string[]
  end(): Promise<void>
}

export async function testKubelet(name: string): Promise<TestKubelet> {
  const node = await testNode(name)
  const store = openStore({ clock: systemClock, resources: builtinResources })
  for (const namespace of ['default', 'kube-node-lease']) {
    store.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  }
  const scope = openScope(name)
  const kubelet = createKubelet({
    node,
    store,
    images: imageTable({ root }),
    addresses: ['10.99.0.1'],
    cgroups: node.cgroups,
    clusterDns: ['10.96.0.10'],
    token: (namespace, account) => `token of ${namespace}/${account}`,
    ca: 'the authority',
    scope,
    clock: systemClock,
  })
  await shell(node, 'ip addr add 10.99.0.1/32 dev lo; echo 1 > /proc/sys/net/ipv4/conf/all/proxy_arp')
  kubelet.start()
  const get = (pod: string) => store.find<Pod>('pods', 'default', pod)
  return {
    node,
    store,
    kubelet,
    get,
    create: (pod, spec, more = {}) =>
      store.create<Pod>('pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod, namespace: 'default', ...more },
        spec: { nodeName: name, ...spec },
      }),
    until(pod, is) {
      return new Promise((done, reject) => {
        const timer = setTimeout(() => {
          stop()
          reject(new Error(`pod ${pod} is not as expected: ${JSON.stringify(get(pod)?.status, null, 1)}`))
        }, 20_000)
        const look = () => {
          const now = get(pod)
          if (!is(now)) return
          clearTimeout(timer)
          queueMicrotask(() => stop())
          done(now)
        }
        const stop = store.watch('pods', {}, look)
        look()
      })
    },
    events: (pod) =>
      store
        .list('events', { namespace: 'default' })
        .filter((e) => (e['involvedObject'] as { name: string }).name === pod)
        .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
        .map((e) => `${e['reason']}: ${e['message']}`),
    installNetwork() {
      const at = node.path('/opt/cni/bin/fake-cni')
      writeFileSync(at, plugin)
      chmodSync(at, 0o755)
      const conflist = { cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'fake-cni', a: 1 }] }
      writeFileSync(node.path('/etc/cni/net.d/05-test.conflist'), JSON.stringify(conflist))
    },
    cniCalls: () => readFileSync(node.path('/var/log/cni'), 'utf8').trim().split('\n'),
    async end() {
      await kubelet.close()
      await scope.close()
      await node.end()
    },
  }
}

export const isRunning = (pod: Pod | undefined) => pod?.status?.phase === 'Running'
export const isReady = (pod: Pod | undefined) =>
  pod?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True'
