/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow entry is the verdict: an established packet is one look-up and a few compares. Losing an entry costs one
 * more judgement, never a hole and never a connection. */
#pragma once
#include "notify.h"

static __always_inline __u32 current_epoch(void)
{
	const __u32 *epoch = bpf_map_lookup_elem(&cilium_epoch, &(__u32){0});
	return epoch ? *epoch : 0;
}

static __always_inline bool opens(__u8 protocol, __u8 tcp_flags)
{
	return protocol == IPPROTO_TCP && (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Seconds a flow may be silent: a connection nobody answered is forgotten soon. */
static __always_inline bool expired(const struct flow *flow, __u8 protocol, __u32 now)
{
	__u32 timeout = protocol != IPPROTO_TCP		      ? coarse(config.any_timeout)
			: (flow->flags & FLOW_SERVICE ? !flow->closing /* answers pass it by */
						      : flow->packets[(flow->origin & 1) ^ 1] > 0)
				? coarse(config.tcp_timeout)
				: coarse(config.syn_timeout);
	return now - flow->seen > timeout;
}

/* Entry says all there is to say about this packet: same epoch, came in where it should, nothing opens or closes. */
static __always_inline bool established(struct flow *flow, __u32 side, __u32 entry, __u8 protocol, __u8 tcp_flags)
{
	if (flow->epoch != current_epoch() || flow->entry[side & 1] != entry || !flow->action[side & 1])
		return false;
	if (protocol == IPPROTO_TCP &&
	    (flow->closing == 3 || tcp_flags & TCP_RST || (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN))
		return false;
	__u32 now = coarse_clock();
	if (flow->seen != now) {
		if (expired(flow, protocol, now))
			return false;
		flow->seen = now;
	}
	return true;
}

/* Plain adds: a count may be lost when both CPUs see one direction at once; atomics would cost every packet. */
static __always_inline void count(struct flow *flow, __u32 side, __u8 tcp_flags, __u32 bytes)
{
	flow->packets[side & 1]++;
	flow->bytes[side & 1] += bytes;
	if (tcp_flags) {
		__u16 seen = flow->tcp_flags | (side ? tcp_flags << 8 : tcp_flags);
		if (seen != flow->tcp_flags)
			flow->tcp_flags = seen;
		if (unlikely(tcp_flags & TCP_FIN))
			flow->closing |= side ? 2 : 1;
	}
	if (flow->rule[DIRECTION_EGRESS])
		count_rule(flow->rule[DIRECTION_EGRESS], bytes);
	if (flow->rule[DIRECTION_INGRESS])
		count_rule(flow->rule[DIRECTION_INGRESS], bytes);
}
