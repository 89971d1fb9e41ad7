/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves the cluster leaves as the node: TCP, UDP and ICMP echo, on a port that neither another pod nor the node's
 * own sockets use towards that end. */
#pragma once
#include "identity.h"
#include "rewrite.h"

#define NAT_TRIES 128

static __always_inline void node_address(struct address *a, bool v6)
{
	copy_const(a, v6 ? &config.node_ipv6 : &config.node_ipv4);
}

/* Does a socket of the node talk to that end from this port? */
static __always_inline bool node_uses(struct __sk_buff *skb, const struct packet *p, const struct address *node,
				      __be16 port)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u32 size;

	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return false;
	if (p->flags & PACKET_V6) {
		__builtin_memcpy(tuple.ipv6.saddr, &p->destination, 16);
		__builtin_memcpy(tuple.ipv6.daddr, node, 16);
		tuple.ipv6.sport = p->destination_port;
		tuple.ipv6.dport = port;
		size = sizeof(tuple.ipv6);
	} else {
		tuple.ipv4.saddr = p->destination.word[3];
		tuple.ipv4.daddr = node->word[3];
		tuple.ipv4.sport = p->destination_port;
		tuple.ipv4.dport = port;
		size = sizeof(tuple.ipv4);
	}
	sk = p->protocol == IPPROTO_TCP ? bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0)
					: bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	bpf_sk_release(sk);
	return true;
}

struct port_search {
	struct __sk_buff *skb;
	struct packet *p;
	struct address node;
	__u32 first; /* tried first, host order */
	__u32 port; /* found */
};

static long try_port(__u32 attempt, void *context)
{
	struct port_search *search = context;
	struct packet *p = search->p;
	__u32 range = config.nat_port_last - config.nat_port_first + 1;
	__u32 port = attempt ? config.nat_port_first + bpf_get_prandom_u32() % range : search->first;
	struct nat own = {.address = p->source, .port = p->source_port, .seen = coarse_clock()};
	struct flow_key key;

	if (port < config.nat_port_first || port > config.nat_port_last)
		return 0;
	sort_key(&key, &search->node, bpf_htons(port), &p->destination, p->destination_port, p->protocol, true);
	struct nat *taken = bpf_map_lookup_elem(&cilium_nat, &key);
	if (taken) {
		if (!equal(&taken->address, &p->source) || taken->port != p->source_port)
			return 0;
		taken->seen = own.seen;
	} else if ((!p->hop.nat_port && node_uses(search->skb, p, &search->node, bpf_htons(port))) ||
		   bpf_map_update_elem(&cilium_nat, &key, &own, BPF_NOEXIST)) {
		return 0;
	}
	search->port = port;
	return 1;
}

/* Takes a port for this flow, or confirms the one it has. 0: none free. */
static __always_inline __be16 take_port(struct __sk_buff *skb, struct packet *p, const struct address *node)
{
	struct port_search search = {.skb = skb, .p = p, .node = *node};
	struct nat *before = 0;
	__be16 port;

	/* The pod's own key leads to its port too, so that a lost flow entry does not cost the connection its port. */
	if (!p->hop.nat_port)
		before = bpf_map_lookup_elem(&cilium_nat, &p->key);
	search.first = bpf_ntohs(before ? before->port : p->hop.nat_port ?: p->source_port);
	bpf_loop(NAT_TRIES, try_port, &search, 0);
	port = bpf_htons(search.port);
	if (port && port != p->hop.nat_port && !before) {
		struct nat forward = {.address = *node, .port = port, .seen = coarse_clock()};
		bpf_map_update_elem(&cilium_nat, &p->key, &forward, BPF_ANY);
	}
	return port;
}

static __always_inline int masquerade(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	const bool v6 = p->flags & PACKET_V6;
	struct address node;
	__be16 port;
	__u8 ttl;

	if (p->inner || (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP &&
			 !((p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6) &&
			   p->destination_port == (v6 ? ECHO_V6 : ECHO_V4))))
		return drop(skb, p, DROP_NAT_UNSUPPORTED_PROTOCOL);
	__u32 ttl_at = ETH_HLEN + (v6 ? offsetof(struct ipv6hdr, hop_limit) : offsetof(struct iphdr, ttl));
	if (bpf_skb_load_bytes(skb, ttl_at, &ttl, 1))
		return drop(skb, p, DROP_INVALID_PACKET);
	if (ttl <= 1 || too_big(skb, config.wire_mtu)) {
		p->answer = ttl <= 1 ? ANSWER_TTL : ANSWER_TOO_BIG;
		p->mtu = config.wire_mtu;
		call(skb, CALL_ANSWER);
		return TC_ACT_SHOT;
	}
	node_address(&node, v6);
	port = take_port(skb, p, &node);
	if (!port)
		return drop(skb, p, DROP_NAT_NO_MAPPING);
	if (port != p->hop.nat_port) {
		struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
		if (flow)
			flow->nat_port = port;
	}
	__u8 less = ttl - 1;
	if (bpf_skb_store_bytes(skb, ttl_at, &less, 1, 0) ||
	    (!v6 && bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), bpf_htons(ttl << 8),
					bpf_htons(less << 8), 2)) ||
	    !rewrite(skb, p, SOURCE, &node, port))
		return drop(skb, p, DROP_WRITE_ERROR);
	if (!is_zero(&p->hop.tunnel)) {
		if (p->hop.identity >> 24) /* means something on this node only */
			p->hop.identity = world(v6);
		call(skb, CALL_TUNNEL);
		return TC_ACT_SHOT;
	}
	count_forwarded(ACTION_MASQUERADE, direction, skb->len);
	skb->mark = 0;
	return to_neighbour(skb, p->hop.out, &p->hop.next_hop);
}

/* Is this packet to the node a reply to (or an error about) something masqueraded? Then it is sent on to the pod. */
static __always_inline bool is_nat_reply(struct packet *p)
{
	return bpf_map_lookup_elem(&cilium_nat, &p->key);
}

/* The node's end becomes the pod's again; p->key is the key in cilium_nat. */
static __always_inline int unmasquerade(struct __sk_buff *skb, struct packet *p)
{
	struct nat *found = bpf_map_lookup_elem(&cilium_nat, &p->key);
	if (!found)
		return TC_ACT_OK;
	struct nat nat = *found;
	if (p->flags & PACKET_RELATED && !rewrite_quoted(skb, p, SOURCE, &nat.address, nat.port))
		return drop(skb, p, DROP_WRITE_ERROR);
	if (!rewrite(skb, p, DESTINATION, &nat.address, nat.port))
		return drop(skb, p, DROP_WRITE_ERROR);
	p->entry = skb->ifindex | ENTRY_NAT;
	call(skb, CALL_JUDGE);
	return TC_ACT_SHOT;
}
