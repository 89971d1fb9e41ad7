/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets of flows that are known and in order: they pass without being judged. */
#pragma once
#include "deliver.h"
#include "parse.h"
#include "way.h"

static __always_inline __u32 observed_at(__u32 action, const enum way way)
{
	if (way == WAY_TO_NODE)
		return AT_TO_HOST;
	if (way == WAY_OF_NODE)
		return AT_TO_NETWORK;
	switch (action) {
	case ACTION_PEER:
		return AT_TO_ENDPOINT;
	case ACTION_TUNNEL:
		return AT_TO_OVERLAY;
	case ACTION_NEIGHBOUR:
	case ACTION_MASQUERADE:
	case ACTION_EXTERNAL_REPLY:
		return AT_TO_NETWORK;
	case ACTION_ECHO:
		return AT_TO_HOST;
	case ACTION_PROXY:
		return AT_TO_PROXY;
	default:
		return AT_TO_STACK;
	}
}

/* Known and in order: needs nothing but what the fast path did not want to look at (ICMP, fragments, odd headers). */
static __always_inline int pass_established(struct __sk_buff *skb, struct packet *p, struct flow *flow,
					    const __u32 direction)
{
	count(flow, p->side, p->tcp_flags, skb->len);
	load_hop(&p->hop, flow, p->side);
	return act(skb, p, direction);
}

/* Last words of a connection: pass, report, forget. */
static __always_inline int pass_closing(struct __sk_buff *skb, struct packet *p, struct flow *flow,
					const enum way way, const __u32 direction)
{
	__u32 side = p->side & 1;

	count(flow, side, p->tcp_flags, skb->len);
	load_hop(&p->hop, flow, side);
	name_ends(p, flow);
	notify(skb, p, EVENT_CLOSE, observed_at(p->hop.action, way), flow);
	bpf_map_delete_elem(&cilium_flows, &p->key);
	return act(skb, p, direction);
}

/* An ICMP error goes where replies of the flow it tells of go; without a flow it is a packet like any other. */
static __always_inline int pass_related(struct __sk_buff *skb, struct packet *p, const enum way way,
					const __u32 direction)
{
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	__u32 side = p->side & 1;

	if (!flow || (!flow->action[side] && !is_of_node(way)))
		return -1;
	if (way == WAY_FROM_POD ? flow->entry[side] != p->entry : !is_of_node(way) && flow->endpoint[side])
		return -1;
	if (flow->epoch != current_epoch())
		return drop_quietly(p); /* its next packet is judged; the error will come again */
	p->flags |= PACKET_RELATED;
	if (way == WAY_OF_NODE && flow->action[side] != ACTION_EXTERNAL_REPLY)
		return TC_ACT_OK;
	if (way == WAY_NODE_TUNNEL) {
		int error;
		find_owner(p, 1);
		p->end[0].identity = IDENTITY_HOST;
		error = find_way(skb, p, 0, false, false, way);
		return error ? drop(skb, p, error) : act(skb, p, direction);
	}
	load_hop(&p->hop, flow, side);
	return act(skb, p, direction);
}
