// SPDX-License-Identifier: Apache-2.0
// Numbers of <linux/bpf.h>. Debian's headers (6.1) lack the newest, so all that are used are written here.

export const COMMAND = {
  MAP_CREATE: 0,
  MAP_LOOKUP: 1,
  MAP_UPDATE: 2,
  MAP_DELETE: 3,
  MAP_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_TEST_RUN: 10,
  LINK_NEXT_ID: 31,
  INFO_BY_FD: 15,
  PROG_QUERY: 16,
  LOOKUP_BATCH: 24,
  UPDATE_BATCH: 26,
  DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_DETACH: 34,
} as const

export const MAP_TYPE = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  RINGBUF: 27,
} as const

export const MAP_FLAG = { NO_PREALLOC: 1, MMAPABLE: 1 << 10 } as const

/** Where a program may be attached; names of the kernel without their prefix, in lower case. */
export const ATTACH = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
  tcx_ingress: 46,
  tcx_egress: 47,
} as const
export type AttachPoint = keyof typeof ATTACH

export const PROGRAM_TYPE = { SCHED_CLS: 3, CGROUP_SOCK_ADDR: 18, SYSCALL: 31 } as const

/** Functions of the kernel that programs call. */
export const HELPER = { redirect_peer: 155, loop: 181, set_retval: 187 } as const

export const LINK_TYPE = { CGROUP: 3, TCX: 11 } as const

export const UPDATE_ANY = 0n
export const UPDATE_NO_EXIST = 1n
export const UPDATE_EXIST = 2n
