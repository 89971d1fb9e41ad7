// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes from other machines (from_wire, tcx ingress of the node's devices), what this node itself sends to pods behind
 * tunnels (from_host, tcx egress of cilium_host) and, with a host firewall, to other machines (to_wire, tcx egress of its
 * devices). */
#include "../steps/packet.h"

#define CALL_TABLE cilium_host_calls

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int wire_judge(struct __sk_buff *skb);
int host_tunnel(struct __sk_buff *skb);
int wire_service(struct __sk_buff *skb);
int wire_service_reply(struct __sk_buff *skb);
int host_too_long(struct __sk_buff *skb);
int wire_decapsulate(struct __sk_buff *skb);
int wire_unmasquerade(struct __sk_buff *skb);
int wire_proxy(struct __sk_buff *skb);
int host_judge(struct __sk_buff *skb);
int host_masquerade(struct __sk_buff *skb);
int to_node(struct __sk_buff *skb);
int of_node(struct __sk_buff *skb);
int of_node_tunnel(struct __sk_buff *skb);
int host_proxy_answer(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__uint(key_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int(void *));
} cilium_host_calls SEC(".maps") = {
	.values = {
		/* by enum call */
		[0] = (void *)&wire_judge,
		[1] = (void *)&host_tunnel,
		[2] = (void *)&host_masquerade,
		[3] = (void *)&wire_service,
		[4] = (void *)&wire_service_reply,
		[5] = (void *)&host_too_long,
		[7] = (void *)&wire_decapsulate,
		[8] = (void *)&wire_unmasquerade,
		[9] = (void *)&wire_proxy,
		[10] = (void *)&host_judge,
		[11] = (void *)&to_node,
		[12] = (void *)&of_node,
		[13] = (void *)&of_node_tunnel,
		[14] = (void *)&host_proxy_answer,
	},
};

#include "../steps/decap.h"
#include "../steps/encap.h"
#include "../steps/fast.h"
#include "../steps/judge.h"
#include "../steps/masquerade.h"
#include "../steps/proxy.h"
#include "../steps/service.h"

static __always_inline bool is_node(const struct address *a, bool v6)
{
	return v6 ? equal_const(a, &config.node_ipv6) : equal_const(a, &config.node_ipv4);
}

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

/* An error about this node's own VXLAN: the kernel learns the MTU from it. */
static __always_inline bool is_about_tunnel(struct __sk_buff *skb, struct packet *p)
{
	return config.tunnel && p->inner && relate(skb, p) && p->quoted.protocol == IPPROTO_UDP &&
	       p->quoted.destination_port == bpf_htons(config.tunnel_port);
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

STEP(wire_unmasquerade, unmasquerade(skb, p))
STEP(wire_proxy, to_proxy(skb, p, DIRECTION_INGRESS))
STEP(wire_service_reply, from_backend(skb, p, DIRECTION_INGRESS))
STEP(host_tunnel, tunnel(skb, p, DIRECTION_EGRESS))
STEP(host_masquerade, masquerade(skb, p, DIRECTION_EGRESS))

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

SEC("tc")
int wire_service(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	return is_node(&p->hop.service, p->flags & PACKET_V6) ? to_own_socket(skb, p)
							       : to_backend(skb, p, DIRECTION_INGRESS);
}

/* Of what passes through nobody is told that it is too long: the sender sees losses. */
SEC("tc")
int host_too_long(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	return p ? drop(skb, p, p->answer == ANSWER_TTL ? DROP_TTL_EXCEEDED : DROP_FRAGMENTATION_NEEDED) : TC_ACT_SHOT;
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

/* Run by user space, to translate the coarse clock of flow entries. */
SEC("syscall")
int clock(struct clock *now)
{
	now->jiffies = bpf_jiffies64();
	now->time = bpf_ktime_get_ns();
	return 0;
}
