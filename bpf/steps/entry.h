/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow entry that a judgement becomes. */
#pragma once
#include "conntrack.h"
#include "way.h"

/* What the other side's packets will meet, as far as it is known now. */
static __always_inline void expect_replies(struct __sk_buff *skb, struct packet *p, struct flow *f, const enum way way)
{
	__u32 side = p->side & 1, other = side ^ 1;

	if (is_nodes(way)) { /* pods behind a tunnel may be answered by another device: the slow path will see */
		bool tunnel = way == WAY_NODE_TUNNEL, tunnelled = p->entry & ENTRY_TUNNEL;
		f->action[other] = tunnelled				     ? ACTION_ROUTE
				   : way == WAY_TO_NODE && p->translated ? ACTION_EXTERNAL_REPLY
									 : ACTION_STACK;
		f->entry[other] = tunnelled	       ? 0
				  : tunnel	       ? p->hop.out | ENTRY_TUNNEL
				  : way == WAY_TO_NODE ? skb->ifindex | ENTRY_TO_WIRE
						       : skb->ifindex;
		return;
	}
	if (way == WAY_FROM_WIRE) { /* the first reply finds its way */
		f->entry[other] = p->end[1].flags & OWNER_LOCAL ? p->end[1].interface : p->hop.out | ENTRY_NAT;
		f->action[other] = ACTION_ROUTE;
		return;
	}
	if (way == WAY_TO_POD) {
		f->entry[other] = skb->ifindex;
		f->action[other] = f->flags & FLOW_UPSTREAM	   ? ACTION_PROXY
				   : p->end[0].flags & OWNER_HOST ? ACTION_STACK
								  : ACTION_ROUTE;
		return;
	}
	if (way == WAY_FROM_PROXY) {
		f->action[other] = ACTION_PROXY;
	} else {
		f->action[other] = p->translated ? ACTION_SERVICE_REPLY : ACTION_PEER;
		f->out[other] = skb->ifindex;
	}
	switch (p->hop.action) {
	case ACTION_PEER:
		f->entry[other] = p->hop.out;
		break;
	case ACTION_TUNNEL:
		f->entry[other] = p->hop.out | ENTRY_TUNNEL;
		break;
	case ACTION_NEIGHBOUR:
		f->entry[other] = p->hop.out;
		break;
	case ACTION_MASQUERADE:
		f->entry[other] = p->hop.out | ENTRY_NAT;
		break;
	default: /* the kernel answers, or the proxy */
		if (way == WAY_FROM_PROXY)
			break;
		f->entry[other] = skb->ifindex | ENTRY_TO_POD;
		f->action[other] = p->translated ? ACTION_SERVICE_REPLY : ACTION_STACK;
	}
}

/* The flow entry of a packet that passes, into p->fresh: `known` as it was before, if there was one. */
static __always_inline void fill_flow(struct __sk_buff *skb, struct packet *p, const struct flow *known, __u32 origin,
				      __u32 opener, __u32 now, const enum way way)
{
	__u32 side = p->side & 1;
	struct flow *f = &p->fresh;
	if (known) {
		*f = *known;
	} else {
		__builtin_memset(f, 0, sizeof(*f));
		f->created = now;
	}
	bool is_translated = !is_zero(&f->service);
	bool same = known && f->epoch == current_epoch();
	f->epoch = current_epoch();
	f->seen = now;
	f->origin = origin;
	f->entry[side] = p->entry;
	f->out[side] = p->hop.out;
	f->action[side] = p->hop.action;
	f->rule[0] = p->rule[0];
	f->rule[1] = p->rule[1];
	f->identity[side] = p->end[0].identity;
	f->identity[side ^ 1] = p->end[1].identity;
	f->endpoint[side] = p->end[0].endpoint;
	f->endpoint[side ^ 1] = p->end[1].endpoint;
	if (p->audit)
		f->flags |= FLOW_AUDIT;
	else
		f->flags &= ~FLOW_AUDIT;
	if (opener && !known)
		f->flags |= FLOW_REVERSED;
	f->proxy_port = p->hop.proxy_port;
	if (p->hop.proxy_port && p->hop.upstream)
		f->flags |= FLOW_UPSTREAM;
	else
		f->flags &= ~FLOW_UPSTREAM;
	if (p->translated) {
		f->service = p->service_address;
		f->service_port = p->service_port;
		if (way == WAY_FROM_WIRE || way == WAY_TO_NODE)
			f->flags |= FLOW_EXTERNAL;
	}
	if (p->tunnel_identity) {
		f->tunnel = p->tunnel_source;
		if (!opener)
			f->flags |= FLOW_TUNNELLED;
	}
	if (p->hop.action == ACTION_TUNNEL || (way == WAY_FROM_WIRE && p->hop.action == ACTION_MASQUERADE))
		f->tunnel = p->hop.tunnel;
	if (p->hop.action >= ACTION_NEIGHBOUR && p->hop.action <= ACTION_MASQUERADE)
		f->next_hop = p->hop.next_hop;
	if (!known || (!same && opener == 0) || (p->translated && !is_translated))
		expect_replies(skb, p, f, way);
	count(f, side, p->tcp_flags, skb->len);
}
