/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One map of each kind and programs whose effect is easy to see, for the tests of src/edge/kernel. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct settings {
	__u32 verdict;
	__u32 mark;
	__u8 mac[6];
	__u16 pad;
};
const volatile __u32 before_it = 7;
const volatile struct settings settings = { .verdict = 0 };

struct wide_key {
	__u32 bits;
	__u8 address[4];
};

#define MAP(NAME, TYPE, KEY, VALUE, ENTRIES, FLAGS)          \
	struct {                                             \
		__uint(type, TYPE);                          \
		__type(key, KEY);                            \
		__type(value, VALUE);                        \
		__uint(max_entries, ENTRIES);                \
		__uint(map_flags, FLAGS);                    \
		__uint(pinning, LIBBPF_PIN_BY_NAME);         \
	} NAME SEC(".maps")

MAP(kt_hash, BPF_MAP_TYPE_HASH, __u32, __u64, 4096, BPF_F_NO_PREALLOC);
MAP(kt_small, BPF_MAP_TYPE_HASH, __u32, __u64, 4, 0);
MAP(kt_trie, BPF_MAP_TYPE_LPM_TRIE, struct wide_key, __u64, 16, BPF_F_NO_PREALLOC);
MAP(kt_array, BPF_MAP_TYPE_ARRAY, __u32, __u64, 600, BPF_F_MMAPABLE);
MAP(kt_cells, BPF_MAP_TYPE_ARRAY, __u32, struct settings, 600, 0);
MAP(kt_counts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, 4, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} kt_events SEC(".maps");

SEC("tc")
int count_and_mark(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&kt_counts, &zero);

	if (count)
		*count += 1;
	skb->mark = settings.mark + before_it;
	skb->cb[0] = skb->cb[0] + 1;
	return settings.verdict;
}

/* Sends cb[0] records of 64 bytes, numbered from cb[1]; the count of lost ones goes to kt_counts[1]. */
SEC("tc")
int send_events(struct __sk_buff *skb)
{
	__u32 count = skb->cb[0], first = skb->cb[1];
	__u32 one = 1;

	for (__u32 i = 0; i < 2000 && i < count; i++) {
		__u64 *record = bpf_ringbuf_reserve(&kt_events, 64, 0);

		if (!record) {
			__u64 *lost = bpf_map_lookup_elem(&kt_counts, &one);

			if (lost)
				*lost += 1;
			continue;
		}
		record[0] = first + i;
		record[1] = 0x1122334455667788;
		if ((first + i) % 5 == 4)
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		else
			bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	}
	return 0;
}

SEC("cgroup/connect4")
int refuse_connect(struct bpf_sock_addr *ctx)
{
	return settings.verdict != 0;
}

char _license[] SEC("license") = "GPL";
