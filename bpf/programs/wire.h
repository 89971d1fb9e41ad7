/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What other machines send (from_wire, tcx ingress of the node's devices), and where it goes from there. */
#pragma once
#include "../steps/decap.h"
#include "../steps/masquerade.h"
#include "../steps/own_node.h"

static __always_inline int handle_wire(struct __sk_buff *skb, const bool v6)
{
	struct flow_key key;
	__u8 tcp_flags;
	int side, verdict;
	struct packet *p;

	side = parse_plain(skb, &key, &tcp_flags, v6);
	if (side >= 0) {
		const struct address *to = side ? &key.a : &key.b;
		bool own = is_node(to, v6), external = false;
		if (own) {
			__be16 to_port = side ? key.port_a : key.port_b;
			__u32 port = bpf_ntohs(to_port);
			if (config.tunnel && key.protocol == IPPROTO_UDP && port == config.tunnel_port) {
				call(skb, CALL_DECAPSULATE);
				return TC_ACT_SHOT;
			}
			bool masqueraded = port >= config.nat_port_first && port <= config.nat_port_last &&
					   bpf_map_lookup_elem(&cilium_nat, &key);
			external = !masqueraded && find_external(to, to_port, key.protocol);
			if (!masqueraded && !external && !config.host_firewall)
				return TC_ACT_OK;
		}
		if (config.host_firewall || !own || external) {
			verdict = fast(skb, &key, side, tcp_flags, skb->ifindex, 0, DIRECTION_INGRESS);
			if (verdict >= 0)
				return verdict;
		}
	}
	p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex;
	p->tunnel_identity = 0;
	p->translated = 0;
	call(skb, CALL_JUDGE);
	return TC_ACT_SHOT;
}

SEC("tc")
int from_wire(struct __sk_buff *skb)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return handle_wire(skb, false);
	case bpf_htons(ETH_P_IPV6):
		return handle_wire(skb, true);
	default:
		return TC_ACT_OK;
	}
}

/* Entry and tunnel are in the slot already: it may have come by tunnel, or be a reply turned back to its pod. */
SEC("tc")
int wire_judge(struct __sk_buff *skb)
{
	bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	int error = parse(skb, p);
	bool tunnelled = p->entry & ENTRY_TUNNEL;
	p->direction = DIRECTION_INGRESS;
	if (!(p->entry & ENTRY_NAT) && is_node(&p->destination, v6)) {
		if (error)
			return config.host_firewall || tunnelled ? drop(skb, p, error) : TC_ACT_OK; /* the node's own affair */
		struct flow_key own = p->key;
		__u32 side = p->side;
		if (relate(skb, p))
			p->flags |= PACKET_RELATED;
		else
			p->inner = 0;
		if (is_nat_reply(p))
			call(skb, CALL_UNMASQUERADE);
		if (!tunnelled && !is_for_service(p)) {
			if (config.host_firewall)
				call(skb, CALL_TO_NODE);
			return TC_ACT_OK;
		}
		p->key = own;
		p->side = side;
		p->flags &= ~PACKET_RELATED;
	}
	if (error)
		return drop(skb, p, error);
	return judge(skb, p, WAY_FROM_WIRE);
}

/* For this node itself, where it has a firewall. */
SEC("tc")
int to_node(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	int error = parse(skb, p);
	p->direction = DIRECTION_INGRESS;
	if (error)
		return drop(skb, p, error);
	if (p->flags & PACKET_NEIGHBOUR || is_about_tunnel(skb, p))
		return TC_ACT_OK;
	return judge(skb, p, WAY_TO_NODE);
}

SEC("tc")
int wire_service(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	return is_node(&p->hop.service, p->flags & PACKET_V6) ? to_own_socket(skb, p)
							       : to_backend(skb, p, DIRECTION_INGRESS);
}

SEC("tc")
int wire_decapsulate(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	struct flow_key key;
	__u8 tcp_flags;
	int side = -1, verdict;

	verdict = fast_out_of_tunnel(skb);
	if (verdict >= 0)
		return verdict;
	if (!p)
		return TC_ACT_SHOT;
	int error = decapsulate(skb, p);
	if (error)
		return drop(skb, p, error);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		side = parse_plain(skb, &key, &tcp_flags, false);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		side = parse_plain(skb, &key, &tcp_flags, true);
	if (side >= 0) {
		verdict = fast(skb, &key, side, tcp_flags, p->entry, p->tunnel_identity, DIRECTION_INGRESS);
		if (verdict >= 0)
			return verdict;
	}
	call(skb, CALL_JUDGE);
	return TC_ACT_SHOT;
}

/* Of what passes through nobody is told that it is too long: the sender sees losses. */
SEC("tc")
int host_too_long(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	return p ? drop(skb, p, p->answer == ANSWER_TTL ? DROP_TTL_EXCEEDED : DROP_FRAGMENTATION_NEEDED) : TC_ACT_SHOT;
}
