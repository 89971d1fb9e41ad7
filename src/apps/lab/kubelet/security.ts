// SPDX-License-Identifier: Apache-2.0
import type { Container, Pod } from './manifest.ts'

const names = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP',
  'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER',
  'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE',
  'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP',
  'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF',
  'CHECKPOINT_RESTORE',
] // biome-ignore format: in the kernel's order

/** What container runtimes leave to a container that asks for nothing. */
const usual =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'

/** Capabilities of a container as a hexadecimal set; undefined: all. Throws on a name the kernel does not have. */
export function capabilitiesOf(container: Container): string | undefined {
  const security = container.securityContext
  if (security?.privileged) return undefined
  const { add = [], drop = [] } = security?.capabilities ?? {}
  let set = drop.includes('ALL') ? 0n : add.includes('ALL') ? bits(names) : bits(usual.split(' '))
  set |= bits(add.filter((name) => name !== 'ALL'))
  set &= ~bits(drop.filter((name) => name !== 'ALL'))
  return set.toString(16)
}

function bits(list: readonly string[]): bigint {
  let set = 0n
  for (const name of list) {
    const number = names.indexOf(name.replace(/^CAP_/, ''))
    if (number < 0) throw new Error(`unknown capability ${JSON.stringify(name)}`)
    set |= 1n << BigInt(number)
  }
  return set
}

/** User, group and further groups of a container. Throws when it must not be root and is. */
export function identityOf(pod: Pod, container: Container): { uid: number; gid: number; groups: readonly string[] } {
  const forPod = pod.spec.securityContext
  const own = container.securityContext
  const uid = own?.runAsUser ?? forPod?.runAsUser ?? 0
  if (uid === 0 && (own?.runAsNonRoot ?? forPod?.runAsNonRoot)) {
    throw new Error(
      "container has runAsNonRoot and image will run as root (set runAsUser: the lab's images have no user of their own)",
    )
  }
  const gid = own?.runAsGroup ?? forPod?.runAsGroup ?? 0
  const more = [...(forPod?.supplementalGroups ?? []), ...(forPod?.fsGroup === undefined ? [] : [forPod.fsGroup])]
  return { uid, gid, groups: [...new Set([gid, ...more])].map(String) }
}
