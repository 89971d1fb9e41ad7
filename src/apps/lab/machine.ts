// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Complaint, projectRoot } from './settings.ts'

/** Throws a Complaint that says what this machine lacks and how to get it. */
export const checkMachine = (bare: boolean) => {
  if (process.getuid?.() !== 0)
    throw new Complaint('cilium-lab makes namespaces and loads programs into the kernel: run it as root')
  const root = projectRoot()
  const needed = [
    'build/native/lab-node',
    ...(bare ? [] : ['build/agent.js', 'build/operator.js', 'build/dns.js', 'build/cilium-cni']),
  ]
  const lacking = needed.filter((f) => !existsSync(join(root, f)))
  if (lacking.length > 0)
    throw new Complaint(`not built yet, ${lacking.join(', ')} missing: run \`make build\` in ${root}`)
  for (const tool of ['ip', 'nsenter', 'sysctl'])
    if (!inPath(tool)) throw new Complaint(`${tool} is missing: apt-get install iproute2 util-linux procps`)
  const kernel = readFileSync('/proc/filesystems', 'utf8')
  for (const [name, option] of [
    ['bpf', 'CONFIG_BPF_SYSCALL'],
    ['overlay', 'CONFIG_OVERLAY_FS'],
    ['cgroup2', 'CONFIG_CGROUP_BPF'],
  ] as const)
    if (!new RegExp(`\\b${name}$`, 'm').test(kernel))
      throw new Complaint(
        `the kernel has no ${name} file system: ${option} is needed (modprobe ${name} if it is a module)`,
      )
  if (!bare && !existsSync('/sys/kernel/btf/vmlinux'))
    throw new Complaint('the kernel has no BTF (/sys/kernel/btf/vmlinux): CONFIG_DEBUG_INFO_BTF is needed')
  if (!/ cgroup2 /.test(readFileSync('/proc/mounts', 'utf8')))
    throw new Complaint(
      'cgroup v2 is not mounted: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified',
    )
}

/** The file a command name means; undefined when there is none. */
export const inPath = (tool: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((d) => join(d, tool))
    .find((p) => {
      try {
        accessSync(p, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
