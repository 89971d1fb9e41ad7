/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The look-up of policy, as the datapath does it, again and again for questions that differ; and the same loop without. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "steps/policy.h"

#define QUESTIONS 512

struct question {
	__u32 identity;
	__u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct question);
} bench_questions SEC(".maps");

/* Where the next run goes on: no run asks what the one before has just brought into the cache. */
__u32 position;

enum asked { LOOP_ONLY, CLASS_ONLY, WHOLE };

static __always_inline int ask_all(const enum asked asked)
{
	struct packet *p = packet_slot();
	__u32 first = position, refused = 0;

	if (!p)
		return -1;
	position = first + QUESTIONS;
	p->protocol = IPPROTO_TCP;
	for (__u32 i = 0; i < QUESTIONS; i++) {
		__u32 at = first + i & 16383;
		struct question *q = bpf_map_lookup_elem(&bench_questions, &at);
		if (!q)
			return -1;
		if (asked == WHOLE) {
			refused += decide(p, 1, DIRECTION_INGRESS, q->identity, q->port) != 0;
		} else if (asked == CLASS_ONLY) {
			refused += !class_of(1, q->identity);
		} else {
			refused += q->identity + q->port == 0;
		}
	}
	return refused;
}

SEC("tc")
int look_up(struct __sk_buff *skb)
{
	return ask_all(WHOLE);
}

/* Peer to class alone. */
SEC("tc")
int look_up_class(struct __sk_buff *skb)
{
	return ask_all(CLASS_ONLY);
}

SEC("tc")
int loop_only(struct __sk_buff *skb)
{
	return ask_all(LOOP_ONLY);
}

char _license[] SEC("license") = "Dual BSD/GPL";
