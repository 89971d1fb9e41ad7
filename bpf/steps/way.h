/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which way: out of what, to whom, written how. */
#pragma once
#include "fib.h"
#include "sender.h"

static __always_inline bool in_cluster(__u32 identity)
{
	return identity >= 256 && identity < 1 << 24;
}

static __always_inline bool is_masqueraded(const struct packet *p)
{
	const struct owner *to = &p->end[1];
	bool v6 = p->flags & PACKET_V6;

	if (!(v6 ? config.masquerade_ipv6 : config.masquerade_ipv4) || in_cluster(to->identity))
		return false;
	if (to->flags & OWNER_NODE)
		return config.tunnel; /* by native routing other nodes know the way back */
	if (v6)
		return !config.native_ipv6_bits || !within(&p->destination, &config.native_ipv6, config.native_ipv6_bits);
	return !config.native_ipv4_bits || !within(&p->destination, &config.native_ipv4, config.native_ipv4_bits);
}

/* The way of what the wire sent to a service of the node's, to a backend elsewhere and back. Returns 0 or a drop code. */
static __always_inline int find_external_way(struct __sk_buff *skb, struct packet *p, bool reply)
{
	struct hop *hop = &p->hop;
	struct address node;

	hop->action = reply ? ACTION_EXTERNAL_REPLY : ACTION_MASQUERADE;
	if (reply || is_zero(&p->end[1].node))
		return find_route(skb, p, &p->source, &p->destination) ? 0 : DROP_FIB_FAILED;
	if (!config.tunnel)
		return DROP_NO_TUNNEL_ENDPOINT;
	hop->tunnel = p->end[1].node;
	copy_const(&node, is_mapped(&hop->tunnel) ? &config.node_ipv4 : &config.node_ipv6);
	return find_route(skb, p, &node, &hop->tunnel) ? 0 : DROP_FIB_FAILED;
}

/* The way of the sender's packets, into p->hop. Returns 0 or a drop code. */
static __always_inline int find_way(struct __sk_buff *skb, struct packet *p, const struct flow *flow, bool reply,
				    bool external, const enum way way)
{
	const struct owner *to = &p->end[1];
	struct hop *hop = &p->hop;

	hop->identity = p->end[0].identity;
	hop->out = 0;
	__builtin_memset(&hop->tunnel, 0, sizeof(hop->tunnel));
	if (way == WAY_TO_POD || way == WAY_TO_NODE || way == WAY_OF_NODE) {
		hop->action = way == WAY_OF_NODE && reply && external ? ACTION_EXTERNAL_REPLY : ACTION_STACK;
		return 0;
	}
	if (to->flags & OWNER_LOCAL) {
		hop->action = ACTION_PEER;
		hop->out = to->interface;
		return hop->out ? 0 : DROP_ENDPOINT_NOT_READY;
	}
	if (way == WAY_FROM_WIRE) {
		if (external)
			return find_external_way(skb, p, reply);
		hop->action = ACTION_STACK;
		return 0;
	}
	if (to->flags & OWNER_HOST) {
		hop->action = to->flags & OWNER_GATEWAY && p->flags & PACKET_ECHO_REQUEST ? ACTION_ECHO : ACTION_STACK;
		return 0;
	}
	bool back = reply && flow && flow->flags & FLOW_TUNNELLED;
	if (back || !is_zero(&to->node)) {
		struct address node;
		hop->action = ACTION_TUNNEL;
		hop->tunnel = back ? flow->tunnel : to->node;
		if (!config.tunnel)
			return DROP_NO_TUNNEL_ENDPOINT;
		copy_const(&node, is_mapped(&hop->tunnel) ? &config.node_ipv4 : &config.node_ipv6);
		return find_route(skb, p, &node, &hop->tunnel) ? 0 : DROP_FIB_FAILED;
	}
	if (!find_route(skb, p, &p->source, &p->destination)) {
		hop->action = ACTION_STACK; /* the kernel knows whether it is its own, and answers if it is nobody's */
		return 0;
	}
	hop->action = !reply && is_masqueraded(p) ? ACTION_MASQUERADE
		      : reply && external	  ? ACTION_EXTERNAL_REPLY
						  : ACTION_NEIGHBOUR;
	return 0;
}
