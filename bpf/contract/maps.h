/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map, pinned under these names. Max entries are defaults; the loader may set others. Each map has one writer. */
#pragma once
#include "types.h"

#define MAP(NAME, TYPE, KEY, VALUE, ENTRIES, FLAGS) \
	struct {                                    \
		__uint(type, TYPE);                 \
		__type(key, KEY);                   \
		__type(value, VALUE);               \
		__uint(max_entries, ENTRIES);       \
		__uint(map_flags, FLAGS);           \
		__uint(pinning, LIBBPF_PIN_BY_NAME); \
	} NAME SEC(".maps")

/* Written by user space. */
MAP(cilium_owners, BPF_MAP_TYPE_HASH, struct address, struct owner, 262144, BPF_F_NO_PREALLOC);
MAP(cilium_ipcache, BPF_MAP_TYPE_LPM_TRIE, struct prefix_key, struct owner, 512000, BPF_F_NO_PREALLOC);
MAP(cilium_interfaces, BPF_MAP_TYPE_HASH, __u32, struct interface, 4096, 0);
MAP(cilium_policies, BPF_MAP_TYPE_ARRAY, __u32, struct policy, 4096, BPF_F_MMAPABLE);
MAP(cilium_policy_tables, BPF_MAP_TYPE_ARRAY, __u32, struct policy_table, 4096, 0);
MAP(cilium_policy_pages, BPF_MAP_TYPE_ARRAY, __u32, struct policy_page, 4096, 0);
MAP(cilium_class_index, BPF_MAP_TYPE_ARRAY, __u32, struct class_index, 4096, 0); /* by decision table */
MAP(cilium_class_pages, BPF_MAP_TYPE_ARRAY, __u32, struct class_page, 65536, 0); /* 256 tables, whomever they name */
MAP(cilium_policy_classes, BPF_MAP_TYPE_HASH, struct class_key, __u32, 262144, BPF_F_NO_PREALLOC);
MAP(cilium_policy_cells, BPF_MAP_TYPE_ARRAY, __u32, struct policy_cell, 1048576, 0);
MAP(cilium_services, BPF_MAP_TYPE_HASH, struct service_key, struct service, 65536, BPF_F_NO_PREALLOC);
MAP(cilium_backend_slots, BPF_MAP_TYPE_ARRAY, __u32, __u32, 262144, 0);
MAP(cilium_backends, BPF_MAP_TYPE_ARRAY, __u32, struct backend, 65536, 0);
MAP(cilium_source_ranges, BPF_MAP_TYPE_LPM_TRIE, struct source_range_key, __u32, 65536, BPF_F_NO_PREALLOC);
MAP(cilium_proxy_pairs, BPF_MAP_TYPE_HASH, struct proxy_pair, __u32, 16384, BPF_F_NO_PREALLOC); /* to a listener's port */
MAP(cilium_epoch, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1, BPF_F_MMAPABLE); /* policy moved on: judge every flow once more */

/* Written by the datapath. */
MAP(cilium_rule_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counter, 65536, 0);
MAP(cilium_metrics, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counter, 1024, 0); /* reason << 2 | enum direction */
MAP(cilium_flows, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct flow, 131072, 0);
MAP(cilium_nat, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct nat, 65536, 0);
MAP(cilium_fragments, BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment, 8192, 0);
MAP(cilium_reverse_sockets, BPF_MAP_TYPE_LRU_HASH, struct reverse_socket_key, struct reverse_socket, 65536, 0);
MAP(cilium_affinity, BPF_MAP_TYPE_LRU_HASH, struct affinity_key, struct affinity, 65536, 0);
MAP(cilium_drop_limits, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct drop_limit, DROP_LIMITS, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20); /* bytes */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cilium_events SEC(".maps");

/* Each object also pins its own table of tail calls, filled by libbpf: cilium_pod_calls, cilium_host_calls. */
