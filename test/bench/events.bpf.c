/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fills the ring buffer with records as the datapath writes them, for the bench of its reader. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "contract/codes.h"
#include "contract/maps.h"

SEC("tc")
int fill(struct __sk_buff *skb)
{
	for (__u32 i = 0; i < 1000; i++) {
		struct event *e = bpf_ringbuf_reserve(&cilium_events, sizeof(*e), 0);

		if (!e)
			return 1;
		__builtin_memset(e, 0, sizeof(*e));
		e->time = i;
		e->kind = i % 3 ? EVENT_NEW : EVENT_DROP;
		e->reason = i % 3 ? AT_TO_ENDPOINT : DROP_POLICY_DENIED;
		e->direction = i & 1;
		e->protocol = 6;
		e->source_port = bpf_htons(40000 + i);
		e->destination_port = bpf_htons(80);
		e->length = 60;
		e->source.word[2] = e->destination.word[2] = bpf_htonl(0xffff);
		e->source.word[3] = bpf_htonl(0x0a000000 + i);
		e->destination.word[3] = bpf_htonl(0x0a010001);
		bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	}
	return 0;
}

char _license[] SEC("license") = "GPL";
