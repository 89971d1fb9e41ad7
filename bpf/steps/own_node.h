/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is for this node itself, or from it: which packets, and the sockets that answer for services here. */
#pragma once
#include "fast.h"
#include "proxy.h"
#include "service.h"

static __always_inline bool is_node(const struct address *a, bool v6)
{
	return v6 ? equal_const(a, &config.node_ipv6) : equal_const(a, &config.node_ipv4);
}

/* A packet to the node itself: for a service there, or an error about one's answers? */
static __always_inline bool is_for_service(const struct packet *p)
{
	if (p->flags & PACKET_RELATED) {
		const struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
		return flow && flow->flags & FLOW_SERVICE;
	}
	return (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP) &&
	       find_external(&p->destination, p->destination_port, p->protocol);
}

/* An error about this node's own VXLAN: the kernel learns the MTU from it. */
static __always_inline bool is_about_tunnel(struct __sk_buff *skb, struct packet *p)
{
	return config.tunnel && p->inner && relate(skb, p) && p->quoted.protocol == IPPROTO_UDP &&
	       p->quoted.destination_port == bpf_htons(config.tunnel_port);
}

/* Does the node answer for a service? What is no plain packet is looked at more closely. */
static __always_inline bool may_answer(struct __sk_buff *skb, const bool v6)
{
	struct flow_key key;
	__u8 tcp_flags;
	int side = parse_plain(skb, &key, &tcp_flags, v6);

	if (side < 0)
		return true;
	const struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &key);
	return flow && flow->action[side & 1] == ACTION_EXTERNAL_REPLY;
}

/* The same for a packet of any kind, errors about what was asked included. */
static __always_inline bool answers(struct __sk_buff *skb, struct packet *p)
{
	struct flow_key own = p->key;
	__u32 side = p->side;

	relate(skb, p);
	const struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	bool found = flow && flow->action[p->side & 1] == ACTION_EXTERNAL_REPLY;
	p->key = own;
	p->side = side;
	return found;
}

/* Connections to the node's own address need no translation: what opens is given to the backend's socket under the port
 * that was asked for, and after that the kernel knows the connection by that port, and answers from there. */
static __always_inline int to_listener(struct __sk_buff *skb, struct packet *p)
{
	long failed = 0;

	if (p->flags & PACKET_RELATED || !opens(p->protocol, p->tcp_flags))
		return TC_ACT_OK;
	p->destination = p->hop.service;
	p->destination_port = p->hop.service_port;
	struct bpf_sock *sk = find_socket(skb, p, 0, IPPROTO_TCP);
	if (sk) {
		if (sk->state == BPF_TCP_LISTEN)
			failed = bpf_sk_assign(skb, sk, 0);
		bpf_sk_release(sk);
	}
	return failed ? drop(skb, p, DROP_SOCKET_ASSIGN_FAILED) : TC_ACT_OK;
}

/* A backend that is this node itself. What is translated is translated back as it leaves (to_wire); a firewall judges the
 * port of the backend. */
static __always_inline int to_own_socket(struct __sk_buff *skb, struct packet *p)
{
	bool related = p->flags & PACKET_RELATED;
	__u32 protocol = related ? p->quoted.protocol : p->protocol;

	if (!config.host_firewall && protocol == IPPROTO_TCP && !(p->flags & PACKET_FRAGMENT) &&
	    is_node(&p->destination, p->flags & PACKET_V6))
		return to_listener(skb, p);
	if (related) {
		if (!rewrite_quoted(skb, p, SOURCE, &p->hop.service, p->hop.service_port))
			return drop(skb, p, DROP_WRITE_ERROR);
	} else {
		p->translated = 1;
		p->service_address = p->destination;
		p->service_port = p->destination_port;
	}
	if (!rewrite(skb, p, DESTINATION, &p->hop.service, p->hop.service_port))
		return drop(skb, p, DROP_WRITE_ERROR);
	call(skb, CALL_TO_NODE);
	return TC_ACT_SHOT;
}
