// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { markHurry, useSwitch } from '../../edge/kernel/grace.ts'
import { useProcfs } from '../../edge/kernel/namespace.ts'
import { demand, ensureBpffs, findCgroup2, probe } from '../../edge/kernel/probe.ts'
import type { DatapathPlaces } from './datapath.ts'
import { prepareNamespace } from './namespace.ts'
import type { AgentSettings } from './settings.ts'

/**
 * Makes the machine fit for a datapath and says where its parts go. Throws a sentence for each thing that the kernel
 * lacks or forbids, with its mend.
 */
export function prepareMachine({ node, options }: AgentSettings): DatapathPlaces {
  const text = (name: string): string => options[name] as string
  const cgroup = text('cgroup-root') || findCgroup2() || ''
  const bpffs = text('bpf-root')
  ensureBpffs(bpffs)
  demand(probe({ bpffs, ...(cgroup && existsSync(cgroup) ? { cgroup } : {}) }))
  useProcfs(text('procfs'))
  useSwitch(join(text('procfs'), '../sys/kernel/rcu_expedited'))
  prepareNamespace({ ipv4: node.enableIpv4, ipv6: node.enableIpv6 })
  const state = join(text('state-dir'), 'state')
  mkdirSync(state, { recursive: true })
  markHurry(join(state, 'rcu_expedited'))

  const home = process.env['CILIUM_HOME'] ?? new URL('../../..', import.meta.url).pathname
  return {
    objects: text('bpf-objects') || join(home, 'build/bpf'),
    maps: join(bpffs, 'tc/globals'),
    links: join(bpffs, 'cilium/links'),
    cgroup: existsSync(cgroup) ? cgroup : '',
  }
}
