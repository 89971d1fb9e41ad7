// SPDX-License-Identifier: Apache-2.0
/**
 * The control plane of one node of a lab: a pod's network made and removed, a policy changed, the agent restarted under
 * traffic, what the agent takes of memory and time.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../lab.ts'
import { ran } from '../ran.ts'
import { absolute, median, quantile, type Section } from './figure.ts'
import { sleepers } from './manifests.ts'

const endpoints = 110

/** The agent's process on a node, as the node's own process list has it. */
async function agentProcess(lab: Lab, node: string): Promise<number> {
  const [program, ...args] = lab.inside(node) as [string, ...string[]]
  const found = await ran(program, [...args, 'readlink', '/proc/self/ns/net'])
  const listed = await ran('/bin/sh', [
    '-c',
    `for p in $(pgrep -f 'build/agent\\.js'); do [ "$(readlink /proc/$p/ns/net)" = "${found.stdout.trim()}" ] && echo $p; done`,
  ])
  const pid = Number(listed.stdout.trim().split('\n').at(-1))
  if (!(pid > 0)) throw new Error(`no agent runs in the network namespace of ${node}`)
  return pid
}

const rss = (pid: number): number => {
  const kB = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kB) / 1024
}
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** ADD and DEL of the plugin itself, inside the node, for pods that only the API knows. */
async function plugin(lab: Lab, node: string, count: number): Promise<{ add: number[]; del: number[] }> {
  const names = Array.from({ length: count }, (_, i) => `cni-${i}`)
  await lab.kubectl(['apply', '-f', '-'], sleepers(names, { scheduler: 'nobody', label: 'cni' }))
  const paths = Object.fromEntries(
    (await ran('bin/cilium-lab', ['cni', node, '--name', lab.name])).stdout
      .trim()
      .split(/\s+/)
      .map((pair) => pair.split('=') as [string, string]),
  )
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'cilium', type: 'cilium-cni' })
  // One shell inside the node times each call with its own clock; what a new process costs there is part of the plugin.
  const script = `
    echo '${config}' >/tmp/bench-conf
    call() { # COMMAND NAME
      CNI_COMMAND=$1 CNI_CONTAINERID=bench$2 CNI_NETNS=/run/netns/bench-$2 CNI_IFNAME=eth0 CNI_PATH=${paths['CNI_PATH']} \\
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2;K8S_POD_INFRA_CONTAINER_ID=bench$2" \\
        ${paths['CNI_PATH']}/cilium-cni </tmp/bench-conf >/tmp/bench-out || cat /tmp/bench-out >&2
    }
    for n in ${names.join(' ')}; do ip netns add bench-$n; done
    for n in ${names.join(' ')}; do a=\${EPOCHREALTIME}; call ADD $n; b=\${EPOCHREALTIME}; echo add $a $b; done
    for n in ${names.join(' ')}; do a=\${EPOCHREALTIME}; call DEL $n; b=\${EPOCHREALTIME}; echo del $a $b; done
    for n in ${names.join(' ')}; do ip netns del bench-$n; done`
  const [program, ...args] = lab.inside(node) as [string, ...string[]]
  const r = await ran(program, [...args, 'bash', '-c', script])
  if (r.code !== 0 || r.stderr !== '') throw new Error(`cilium-cni: ${r.stderr}${r.stdout.slice(-400)}`)
  await lab.kubectl(['delete', 'pod', '-l', 'bench=cni', '--force', '--grace-period=0', '--wait=false'])
  const of = (verb: string): number[] =>
    r.stdout
      .split('\n')
      .filter((l) => l.startsWith(verb))
      .map((l) => {
        const [, a, b] = l.split(' ')
        return (Number(b) - Number(a)) * 1000
      })
  return { add: of('add'), del: of('del') }
}

export const control: Section = {
  name: 'control',
  async run(report) {
    const start = performance.now()
    const lab = await Lab.up('bench', [], 3)
    try {
      report(absolute('lab of 3 nodes ready', (performance.now() - start) / 1000, 's', 5))
      const node = (await lab.nodes())[0] as string
      const running: number[] = []
      for (let i = 0; i < 10; i++) {
        const created = performance.now()
        await lab.kubectl(['apply', '-f', '-'], sleepers([`run-${i}`], { node, label: 'run' }))
        const applied = performance.now()
        await lab.kubectl(['wait', '--for=jsonpath={.status.phase}=Running', `pod/run-${i}`, '--timeout=30s'])
        running.push(performance.now() - Math.min(applied, created + 60))
      }
      report(absolute('pod created to Running, kubectl wait included', median(running), 'ms', 300))
      const cni = await plugin(lab, node, 200)
      report(absolute('CNI ADD p50', median(cni.add), 'ms', 10))
      report(absolute('CNI ADD p99', quantile(cni.add, 0.99), 'ms', 25))
      report(absolute('CNI DEL p50', median(cni.del), 'ms', 20))

      const names = Array.from({ length: endpoints - 20 }, (_, i) => `many-${i}`)
      await lab.kubectl(['apply', '-f', '-'], sleepers(names, { node, label: 'many' }))
      await lab.kubectl(['wait', '--for=condition=Ready', 'pod', '-l', 'bench=many', '--timeout=120s'])
      let pid = await agentProcess(lab, node)
      await sleep(5000)
      report(absolute('agent memory at 110 endpoints', rss(pid), 'MB', 120))
      const before = cpuSeconds(pid)
      await sleep(10_000)
      report(absolute('agent, idle, of a core', (cpuSeconds(pid) - before) * 10, '%', 0.5))

      process.kill(pid, 'SIGKILL')
      const killed = performance.now()
      for (;;) {
        const r = await lab.cilium(node, ['status', '--brief']).catch(() => undefined)
        if (r?.stdout.trim() === 'OK') break
        await sleep(20)
      }
      pid = await agentProcess(lab, node)
      report(
        absolute(
          'agent killed to ready with 110 endpoints, restart by kubelet included',
          (performance.now() - killed) / 1000,
          's',
        ),
      )
    } finally {
      await lab.down()
    }
  },
}
