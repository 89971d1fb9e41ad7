/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a judged packet goes. Nothing here writes into it: a program with one direct write makes the kernel copy every
 * cloned packet (that is, all of TCP) at its entry, so whatever writes is a tail call away. */
#pragma once
#include "call.h"
#include "conntrack.h"

enum answer { ANSWER_NONE, ANSWER_ECHO, ANSWER_TOO_BIG, ANSWER_TTL };

/* Mark and priority of the sender would be seen by the receiving pod's own rules. */
static __always_inline int into_pod(struct __sk_buff *skb, __u32 interface)
{
	skb->mark = 0;
	skb->priority = 0;
	return bpf_redirect_peer(interface, 0);
}

/* A program at the egress of the wire would ask about it once more: the mark spares it that. No pod can write one. */
static __always_inline int to_neighbour(struct __sk_buff *skb, __u32 interface, const struct address *next_hop)
{
	struct bpf_redir_neigh hop = {};
	if (config.host_firewall)
		skb->mark = MARK_JUDGED;

	/* What the node itself sends has a route already. A packet that has to wait for its neighbour would ask that route
	 * once more, and go to cilium_host's: it needs the new route, and the mark that led here must not choose it. */
	if (!skb->ingress_ifindex) {
		if (!config.host_firewall)
			skb->mark = 0;
		return bpf_redirect_neigh(interface, 0, 0, 0);
	}
	if (is_mapped(next_hop)) {
		hop.nh_family = 2; /* AF_INET */
		hop.ipv4_nh = next_hop->word[3];
	} else {
		hop.nh_family = 10; /* AF_INET6 */
		__builtin_memcpy(hop.ipv6_nh, next_hop, sizeof(hop.ipv6_nh));
	}
	return bpf_redirect_neigh(interface, &hop, sizeof(hop), 0);
}

/* The same where the next hop is in no flow entry: the kernel asks its routes. */
static __always_inline int by_route(struct __sk_buff *skb, __u32 interface)
{
	skb->mark = config.host_firewall ? MARK_JUDGED : 0;
	return bpf_redirect_neigh(interface, 0, 0, 0);
}

static __always_inline bool is_upstream(__u32 role)
{
	return role == PROXY_UPSTREAM_BOTH || role == PROXY_UPSTREAM_INGRESS || role == PROXY_UPSTREAM_EGRESS;
}

static __always_inline bool is_downstream(__u32 role)
{
	return role == PROXY_DOWNSTREAM_INGRESS || role == PROXY_DOWNSTREAM_EGRESS;
}

static __always_inline bool too_big(struct __sk_buff *skb, __u32 mtu)
{
	return skb->len > mtu + ETH_HLEN && !skb->gso_size;
}

static __always_inline void load_hop(struct hop *hop, const struct flow *flow, __u32 side)
{
	hop->action = flow->action[side & 1];
	hop->out = flow->out[side & 1];
	hop->identity = flow->identity[side & 1];
	hop->nat_port = flow->nat_port;
	hop->service_port = flow->service_port;
	hop->proxy_port = flow->proxy_port;
	hop->upstream = !!(flow->flags & FLOW_UPSTREAM);
	hop->next_hop = flow->next_hop;
	hop->tunnel = flow->tunnel;
	hop->service = flow->service;
}

/* Who the ends of a packet are, and which rules decided, as its flow has them. */
static __always_inline void name_ends(struct packet *p, const struct flow *flow)
{
	__u32 side = p->side & 1;

	p->rule[0] = flow->rule[0];
	p->rule[1] = flow->rule[1];
	p->end[0].identity = flow->identity[side];
	p->end[1].identity = flow->identity[side ^ 1];
	p->end[0].endpoint = flow->endpoint[side];
	p->end[1].endpoint = flow->endpoint[side ^ 1];
}

/* `direction` as metrics see it: what a pod sends leaves, and arrives too when its receiver is on this node. */
static __always_inline void count_forwarded(__u32 action, const __u32 direction, __u32 bytes)
{
	count_metric(METRIC_FORWARDED, direction, bytes);
	if (direction == DIRECTION_EGRESS && action == ACTION_PEER)
		count_metric(METRIC_FORWARDED, DIRECTION_INGRESS, bytes);
}

/* From the slow path: p->hop says where to. */
static __always_inline int act(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	switch (p->hop.action) {
	case ACTION_PEER:
		count_forwarded(ACTION_PEER, direction, skb->len);
		return into_pod(skb, p->hop.out);
	case ACTION_STACK:
		count_forwarded(ACTION_STACK, direction, skb->len);
		return TC_ACT_OK;
	case ACTION_NEIGHBOUR:
		if (too_big(skb, config.wire_mtu)) {
			p->answer = ANSWER_TOO_BIG;
			p->mtu = config.wire_mtu;
			call(skb, CALL_ANSWER);
			break;
		}
		count_forwarded(ACTION_NEIGHBOUR, direction, skb->len);
		return to_neighbour(skb, p->hop.out, &p->hop.next_hop);
	case ACTION_TUNNEL:
		call(skb, CALL_TUNNEL);
		break;
	case ACTION_MASQUERADE:
		call(skb, CALL_MASQUERADE);
		break;
	case ACTION_SERVICE:
		call(skb, CALL_SERVICE);
		break;
	case ACTION_SERVICE_REPLY:
	case ACTION_EXTERNAL_REPLY:
		call(skb, CALL_SERVICE_REPLY);
		break;
	case ACTION_PROXY:
		call(skb, CALL_PROXY);
		break;
	case ACTION_ECHO:
		p->answer = ANSWER_ECHO;
		call(skb, CALL_ANSWER);
		break;
	}
	return drop(skb, p, DROP_MISSED_TAIL_CALL);
}
