/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's routing, asked once per flow; the answer is kept in the flow entry. */
#pragma once
#include "packet.h"

/* True: hop->out and hop->next_hop are set. False: the kernel would not forward it (a local address, no route). */
global int find_route(struct __sk_buff *skb, struct packet *p, const struct address *from,
		      const struct address *to)
{
	if (!p || !from || !to)
		return 0;
	struct bpf_fib_lookup fib = {};
	struct hop *hop = &p->hop;
	bool v4 = is_mapped(to);

	fib.ifindex = skb->ifindex;
	if (v4) {
		fib.family = 2;
		fib.ipv4_src = from->word[3];
		fib.ipv4_dst = to->word[3];
	} else {
		fib.family = 10;
		__builtin_memcpy(fib.ipv6_src, from, sizeof(*from));
		__builtin_memcpy(fib.ipv6_dst, to, sizeof(*to));
	}
	int found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	hop->out = fib.ifindex;
	if (fib.family == 2)
		map_v4(&hop->next_hop, fib.ipv4_dst);
	else
		__builtin_memcpy(&hop->next_hop, fib.ipv6_dst, sizeof(hop->next_hop));
	return 1;
}
