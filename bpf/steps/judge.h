/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The slow path: who sends, who receives, may it, which way; the answer becomes the flow entry. */
#pragma once
#include "entry.h"
#include "known.h"
#include "listener.h"
#include "policy.h"
#include "to_service.h"

/* What came in for this node itself passes, unless it has a firewall. */
static __always_inline int into_node(struct __sk_buff *skb, struct packet *p)
{
	if (!config.host_firewall || !find_node(p, 1))
		return TC_ACT_OK;
	call(skb, CALL_TO_NODE);
	return drop(skb, p, DROP_MISSED_TAIL_CALL);
}

/* Behind a tunnel a node speaks for clients beyond the cluster too, whom its address does not tell: who opened a flow is
 * known from there, and what the proxy asks may be for either. Its listener stands for what was asked of the client. */
static __always_inline int judge_for_node(struct __sk_buff *skb, struct packet *p, const struct flow *known, __u32 opener,
					  __u32 port, const enum way way)
{
	struct owner *from = &p->end[opener & 1];
	bool unsure = config.tunnel && from->flags & OWNER_NODE && !p->tunnel_identity;

	if (unsure && known && known->flags & (FLOW_TUNNELLED | FLOW_UPSTREAM)) {
		from->identity = known->identity[known->origin & 1];
		from->peer = 0;
	}
	int error = judge_policy(p, opener, port);
	if (way != WAY_TO_POD || !unsure || known || !is_upstream(skb->mark & PROXY_ROLE) ||
	    (!error && p->redirect[DIRECTION_INGRESS] == skb->mark >> 16))
		return error;
	from->identity = world(p->flags & PACKET_V6);
	from->peer = 0;
	return judge_policy(p, opener, port);
}

static __always_inline int judge(struct __sk_buff *skb, struct packet *p, const enum way way)
{
	const __u32 direction =
		way == WAY_FROM_POD || way == WAY_FROM_PROXY || is_of_node(way) ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	bool icmp = p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6;
	__u32 now = coarse_clock(), side, opener, reason;
	int error;

	if (p->inner) {
		struct flow_key own = p->key;
		__u32 own_side = p->side;
		if (way == WAY_FROM_POD) {
			error = check_sender(skb, p, way);
			if (error)
				return drop(skb, p, error);
		}
		if (relate(skb, p)) {
			int passed = pass_related(skb, p, way, direction);
			if (passed >= 0)
				return passed;
			p->key = own;
			p->side = own_side;
		}
	}

	side = p->side & 1;
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	if (flow && flow->flags & FLOW_HAIRPIN && flow->entry[side] == p->entry)
		flow->epoch = current_epoch(); /* judged by nobody */
	if (flow && !(flow->flags & FLOW_SERVICE) &&
	    !(p->tunnel_identity && flow->identity[side] != p->tunnel_identity)) {
		if (established(flow, side, p->entry, p->protocol, p->tcp_flags))
			return pass_established(skb, p, flow, direction);
		bool closing = p->tcp_flags & TCP_RST || (flow->closing == 3 && !opens(p->protocol, p->tcp_flags));
		if (closing && flow->epoch == current_epoch() && flow->entry[side] == p->entry && flow->action[side])
			return pass_closing(skb, p, flow, way, direction);
	}

	if (way == WAY_TO_NODE)
		find_node(p, 1);
	else
		find_owner(p, 1);
	if (way == WAY_FROM_POD && !p->translated && !p->end[1].flags && !in_cluster(p->end[1].identity)) {
		int passed = pass_to_service(skb, p, flow, now, way);
		if (passed >= 0)
			return passed;
	}
	/* To a backend on another node, or back from there. */
	bool forwarded = way == WAY_FROM_WIRE && !(p->end[1].flags & OWNER_LOCAL) &&
			 (p->translated || (flow && flow->flags & FLOW_EXTERNAL && p->entry & ENTRY_NAT));
	if (way == WAY_FROM_WIRE && !p->tunnel_identity && !forwarded && !(p->end[1].flags & OWNER_LOCAL)) {
		int passed = pass_to_service(skb, p, flow, now, way);
		return passed >= 0 ? passed : into_node(skb, p); /* the node's own, or passing through */
	}
	if (flow && flow->flags & FLOW_SERVICE)
		flow = 0; /* which backend answers is no verdict */
	error = check_sender(skb, p, way);
	if (error)
		return drop(skb, p, error);
	if (way == WAY_FROM_POD && is_multicast(&p->destination, p->flags & PACKET_V6))
		return drop_quietly(p);
	if (way != WAY_FROM_POD && way != WAY_FROM_PROXY && !is_nodes(way) && !forwarded &&
	    !(p->end[1].flags & OWNER_LOCAL))
		return way == WAY_FROM_WIRE && p->end[1].flags & OWNER_HOST
			       ? into_node(skb, p)
			       : drop(skb, p, DROP_STALE_OR_UNROUTABLE);
	if (way == WAY_FROM_WIRE && p->flags & PACKET_NEIGHBOUR)
		return drop(skb, p, DROP_FORBIDDEN_ICMPV6);

	/* A flow is judged the way it was opened, whichever side's packet comes first after a change of policy. */
	bool opening = opens(p->protocol, p->tcp_flags);
	bool known = flow && !expired(flow, p->protocol, now) && flow->closing != 3 &&
		     !(opening && flow->origin != side);
	if (forwarded && !known && !p->translated)
		return drop(skb, p, DROP_STALE_OR_UNROUTABLE);
	bool external = way == WAY_FROM_WIRE && p->translated ? true : known && flow->flags & FLOW_EXTERNAL;
	__u32 origin = known ? flow->origin & 1 : side;
	__u32 port = icmp ? p->icmp : bpf_ntohs(p->destination_port);
	__u32 reverse_port = bpf_ntohs(p->source_port);

	opener = origin == side ? 0 : 1;
	error = judge_for_node(skb, p, known ? flow : 0, opener, opener ? reverse_port : port, way);
	if (error && !known && p->protocol == IPPROTO_TCP && !opening) {
		/* Perhaps a reply whose entry was lost. */
		__u32 rules[2] = {p->rule[0], p->rule[1]}, decided = p->direction;
		if (!judge_policy(p, 1, reverse_port)) {
			error = 0;
			opener = 1;
			origin = side ^ 1;
		} else {
			p->rule[0] = rules[0];
			p->rule[1] = rules[1];
			p->direction = decided;
		}
	}
	if (known)
		p->flags |= PACKET_REJUDGED;
	if (error) { /* a known flow keeps its entry: it remembers who opened, so that no side passes for the replying one */
		if (p->rule[p->direction & 1])
			count_rule(p->rule[p->direction & 1], skb->len);
		return drop(skb, p, error);
	}
	p->hop.proxy_port = 0;
	error = !is_nodes(way) ? find_listener(skb, p, known ? flow : 0, opener, way)
				: p->redirect[DIRECTION_EGRESS] || p->redirect[DIRECTION_INGRESS] ? DROP_PROXY_UNSUPPORTED
										  : 0;
	if (!error) {
		bool by_proxy = (way == WAY_TO_POD && is_upstream(skb->mark & PROXY_ROLE)) || way == WAY_FROM_PROXY;
		if (p->hop.proxy_port && !by_proxy) {
			p->hop.action = ACTION_PROXY;
			p->hop.out = 0;
			if (external && way == WAY_FROM_POD) /* not asked by the proxy: it answers the client itself */
				error = DROP_PROXY_UNSUPPORTED;
		} else {
			error = find_way(skb, p, flow, opener, external, way);
		}
	}
	if (error)
		return drop(skb, p, error);

	fill_flow(skb, p, known ? flow : 0, origin, opener, now, way);
	struct flow *f = &p->fresh;

	/* A lone FIN or RST is passed but not remembered: it belongs to a connection that was closed and forgotten. */
	reason = observed_at(p->hop.action, way);
	if (known || !(p->tcp_flags & (TCP_FIN | TCP_RST))) {
		if (bpf_map_update_elem(&cilium_flows, &p->key, f, BPF_ANY))
			return drop(skb, p, DROP_CT_INSERT_FAILED);
		if (!known)
			notify(skb, p, EVENT_NEW, reason, f);
	}
	p->hop.nat_port = f->nat_port;
	p->hop.service = f->service;
	p->hop.service_port = f->service_port;
	return act(skb, p, direction);
}
