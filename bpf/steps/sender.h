/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a packet comes by, and who may have sent it there. */
#pragma once
#include "identity.h"

/* The last three are the node's own packets: from others to it, from it to the wire, from it to pods behind a tunnel. */
enum way { WAY_FROM_POD, WAY_FROM_WIRE, WAY_TO_POD, WAY_FROM_PROXY, WAY_TO_NODE, WAY_OF_NODE, WAY_NODE_TUNNEL };

#define is_of_node(way) ((way) == WAY_OF_NODE || (way) == WAY_NODE_TUNNEL)
#define is_nodes(way) ((way) == WAY_TO_NODE || is_of_node(way))

/* Who may have sent it, given where it came in. Returns 0 or a drop code. */
static __always_inline int check_sender(struct __sk_buff *skb, struct packet *p, const enum way way)
{
	struct owner *sender = &p->end[0];

	if (way == WAY_FROM_POD) {
		__u32 number = skb->ifindex;
		const struct interface *pod = bpf_map_lookup_elem(&cilium_interfaces, &number);
		if (!pod)
			return DROP_UNKNOWN_SENDER;
		sender->identity = pod->identity;
		sender->policy = pod->policy;
		sender->endpoint = pod->endpoint;
		sender->interface = number;
		sender->flags = OWNER_LOCAL;
		sender->peer = 0;
		const struct address *own = p->flags & PACKET_V6 ? &pod->ipv6 : &pod->ipv4;
		if (is_zero(own) || !equal(&p->source, own))
			return DROP_INVALID_SOURCE_IP;
		const struct owner *known = bpf_map_lookup_elem(&cilium_owners, &p->source);
		if (known && known->identity == sender->identity)
			sender->peer = known->peer;
		return 0;
	}
	if (is_of_node(way)) {
		find_node(p, 0);
		return 0;
	}
	find_owner(p, 0);
	if (way == WAY_FROM_PROXY) /* speaks in a pod's name */
		return sender->flags & OWNER_LOCAL ? 0 : DROP_INVALID_SOURCE_IP;
	if (way == WAY_TO_POD) {
		sender->flags &= ~OWNER_LOCAL; /* what it may send was judged when it sent */
		return 0;
	}
	p->direction = DIRECTION_INGRESS;
	if (sender->flags & (OWNER_LOCAL | OWNER_HOST))
		return DROP_INVALID_SOURCE_IP;
	if (p->tunnel_identity) {
		if (sender->identity != p->tunnel_identity)
			sender->peer = 0;
		sender->identity = p->tunnel_identity;
		sender->node = p->tunnel_source;
	} else if (config.tunnel && !is_zero(&sender->node) && !(p->entry & ENTRY_NAT)) {
		return DROP_INVALID_SOURCE_IP; /* behind a tunnel, yet not through it */
	}
	return 0;
}
