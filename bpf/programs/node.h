/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this node itself sends: to other machines (to_wire, tcx egress of its devices), to pods behind tunnels and in the
 * name of pods, by its proxy (from_host, tcx egress of cilium_host). */
#pragma once
#include "../steps/encap.h"
#include "../steps/own_node.h"

/* What leaves by the wire. With a host firewall: what pods send was judged, and is marked; what is forwarded for others is
 * not asked about. Without one it is attached where sockets of the node answer for services, and looks at nothing else. */
SEC("tc")
int to_wire(struct __sk_buff *skb)
{
	bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);

	if (skb->mark == MARK_JUDGED || (!v6 && skb->protocol != bpf_htons(ETH_P_IP)))
		return TC_ACT_OK;
	if (!config.host_firewall && !(v6 ? may_answer(skb, true) : may_answer(skb, false)))
		return TC_ACT_OK;
	int verdict = fast_plain(skb, v6, skb->ifindex | ENTRY_TO_WIRE, 0, DIRECTION_EGRESS);
	if (verdict >= 0)
		return verdict;
	call(skb, CALL_OF_NODE);
	return TC_ACT_SHOT;
}

SEC("tc")
int of_node(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex | ENTRY_TO_WIRE;
	p->tunnel_identity = p->translated = 0;
	int error = parse(skb, p);
	if (p->flags & PACKET_NEIGHBOUR || !find_node(p, 0) || (!config.host_firewall && (error || !answers(skb, p))))
		return TC_ACT_OK;
	if (error)
		return drop(skb, p, error);
	return judge(skb, p, WAY_OF_NODE);
}

SEC("tc")
int of_node_tunnel(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex;
	p->tunnel_identity = p->translated = 0;
	int error = parse(skb, p);
	if (error)
		return drop(skb, p, error);
	return judge(skb, p, WAY_NODE_TUNNEL);
}

static __always_inline int into_tunnel(struct __sk_buff *skb, struct packet *p, const struct address *to)
{
	struct address node;

	p->hop.action = ACTION_TUNNEL;
	p->hop.identity = p->end[0].identity;
	p->hop.tunnel = *to;
	copy_const(&node, is_mapped(&p->hop.tunnel) ? &config.node_ipv4 : &config.node_ipv6);
	if (!find_route(skb, p, &node, &p->hop.tunnel))
		return drop(skb, p, DROP_FIB_FAILED);
	call(skb, CALL_TUNNEL);
	return TC_ACT_SHOT;
}

/* What the proxy sends to servers of other nodes, in a pod's name. */
SEC("tc")
int host_judge(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex;
	p->tunnel_identity = p->translated = 0;
	int error = parse(skb, p);
	p->direction = DIRECTION_EGRESS;
	if (error)
		return drop(skb, p, error);
	return judge(skb, p, WAY_FROM_PROXY);
}

/* What the proxy answers to clients elsewhere, in the name of a pod of this node: from the address that was asked, and by
 * the way the question came. The policy may have changed since: whom it answers was judged when he asked. */
SEC("tc")
int host_proxy_answer(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex;
	p->tunnel_identity = p->translated = 0;
	int error = parse(skb, p);
	if (error)
		return drop(skb, p, error);
	find_owner(p, 0);
	find_owner(p, 1);
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	__u32 side = p->side & 1;
	if (flow && (flow->origin & 1) == side)
		flow = 0;
	if (flow) {
		flow->seen = coarse_clock();
		count(flow, side, p->tcp_flags, skb->len);
	}
	if (config.tunnel && flow && flow->flags & FLOW_TUNNELLED)
		return into_tunnel(skb, p, &flow->tunnel);
	if (config.tunnel && !is_zero(&p->end[1].node))
		return into_tunnel(skb, p, &p->end[1].node);
	if (!find_route(skb, p, &p->source, &p->destination))
		return drop(skb, p, DROP_FIB_FAILED);
	if (flow && flow->flags & FLOW_EXTERNAL) {
		p->hop.action = ACTION_EXTERNAL_REPLY;
		p->hop.service = flow->service;
		p->hop.service_port = flow->service_port;
		call(skb, CALL_SERVICE_REPLY);
		return TC_ACT_SHOT;
	}
	count_forwarded(ACTION_NEIGHBOUR, DIRECTION_EGRESS, skb->len);
	return by_route(skb, p->hop.out);
}

/* What the node's own programs ask of pods, where the proxy comes between, and what they answer the proxy: to_pod judged it
 * and sent it round. The last packet of a connection has no flow any longer, and answers never had one. */
SEC("tc")
int from_net(struct __sk_buff *skb)
{
	if (skb->mark != PROXY_TO_SOCKET)
		return TC_ACT_OK;
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	bpf_skb_change_type(skb, 0); /* PACKET_HOST, though it was written to the pod */
	p->entry = skb->ifindex;
	p->tunnel_identity = p->translated = 0;
	int error = parse(skb, p);
	p->direction = DIRECTION_INGRESS;
	if (error)
		return drop(skb, p, error);
	if (relate(skb, p))
		p->flags |= PACKET_RELATED;
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	__u32 side = p->side & 1;
	if (!flow || flow->action[side] != ACTION_PROXY) {
		__u32 role = connection_mark(skb, p) & PROXY_ROLE;
		return role == PROXY_TO_SOCKET || is_upstream(role) || is_downstream(role)
			       ? to_sockets(skb, DIRECTION_INGRESS)
			       : drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
	}
	name_ends(p, flow);
	load_hop(&p->hop, flow, side);
	call(skb, CALL_PROXY);
	return TC_ACT_SHOT;
}

SEC("tc")
int from_host(struct __sk_buff *skb)
{
	bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct packet *p = packet_slot();
	__u32 role = skb->mark & PROXY_ROLE;
	int error;

	opaque(role);
	if (!v6 && skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	if (role == PROXY_UPSTREAM_EGRESS) {
		int verdict = fast_plain(skb, v6, skb->ifindex, 0, DIRECTION_EGRESS);
		if (verdict >= 0)
			return verdict;
		call(skb, CALL_PROXY_JUDGE);
		return TC_ACT_SHOT;
	}
	if (is_downstream(role)) {
		call(skb, CALL_PROXY_ANSWER);
		return TC_ACT_SHOT;
	}
	if (!config.tunnel)
		return TC_ACT_OK;
	if (!p)
		return TC_ACT_SHOT;
	if (config.host_firewall) {
		int verdict = fast_plain(skb, v6, skb->ifindex, 0, DIRECTION_EGRESS);
		if (verdict >= 0)
			return verdict;
	}
	p->tunnel_identity = 0;
	p->translated = 0;
	error = parse(skb, p);
	if (error)
		return TC_ACT_OK;
	find_owner(p, 1);
	p->end[0].identity = IDENTITY_HOST;
	if (is_zero(&p->end[1].node)) {
		if (p->flags & PACKET_NEIGHBOUR || is_multicast(&p->destination, v6) || p->end[1].flags & OWNER_HOST)
			return TC_ACT_OK;
		return drop(skb, p, DROP_NO_TUNNEL_ENDPOINT); /* only pods of other nodes are routed here, and this is none */
	}
	if (config.host_firewall) {
		call(skb, CALL_NODE_TUNNEL);
		return TC_ACT_SHOT;
	}
	return into_tunnel(skb, p, &p->end[1].node);
}
