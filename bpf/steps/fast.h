/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The established packet: plain headers, one look-up, a few compares, counters, gone. Anything else is judged. Into and
 * out of the tunnel is part of it: helpers write the outer headers, so no packet is copied for them. */
#pragma once
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "encap.h"

/* TCP or UDP without options, extensions or fragments, headers within the linear part: -1 if not so, else its side. `at`
 * is how far behind the Ethernet header the IP header begins. */
static __always_inline int parse_at(struct __sk_buff *skb, struct flow_key *key, __u8 *tcp_flags, const bool v6,
				    const __u32 at)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct address source, destination;
	__u8 protocol;

	data += at;
	if (data + ETH_HLEN + header + 8 > end)
		return -1;
	if (v6) {
		struct ipv6hdr *ip = data + ETH_HLEN;
		if (ip->version != 6)
			return -1;
		protocol = ip->nexthdr;
		__builtin_memcpy(&source, &ip->saddr, sizeof(source));
		__builtin_memcpy(&destination, &ip->daddr, sizeof(destination));
	} else {
		struct iphdr *ip = data + ETH_HLEN;
		if (*(__u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff))
			return -1;
		protocol = ip->protocol;
		map_v4(&source, ip->saddr);
		map_v4(&destination, ip->daddr);
	}
	if (protocol == IPPROTO_TCP) {
		if (data + ETH_HLEN + header + 14 > end)
			return -1;
		*tcp_flags = *(__u8 *)(data + ETH_HLEN + header + 13);
	} else if (protocol == IPPROTO_UDP) {
		*tcp_flags = 0;
	} else {
		return -1;
	}
	__be16 *ports = data + ETH_HLEN + header;
	return sort_key(key, &source, ports[0], &destination, ports[1], protocol, v6);
}

static __always_inline int parse_plain(struct __sk_buff *skb, struct flow_key *key, __u8 *tcp_flags, const bool v6)
{
	return parse_at(skb, key, tcp_flags, v6, 0);
}

/* The verdict for a packet whose flow is known, or -1. Actions that write are tail calls, but for the tunnel. */
static __always_inline int fast(struct __sk_buff *skb, const struct flow_key *key, __u32 side, __u8 tcp_flags,
				__u32 entry, __u32 tunnel_identity, const __u32 direction)
{
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, key);
	if (!flow || !established(flow, side, entry, key->protocol, tcp_flags))
		return -1;
	if (tunnel_identity && flow->identity[side & 1] != tunnel_identity)
		return -1;
	__u32 action = flow->action[side & 1];
	if (action == ACTION_NEIGHBOUR && too_big(skb, config.wire_mtu))
		return -1;
	count(flow, side, tcp_flags, skb->len);
	switch (action) {
	case ACTION_PEER:
		count_forwarded(ACTION_PEER, direction, skb->len);
		return into_pod(skb, flow->out[side & 1]);
	case ACTION_STACK:
		count_forwarded(ACTION_STACK, direction, skb->len);
		return TC_ACT_OK;
	case ACTION_NEIGHBOUR:
		count_forwarded(ACTION_NEIGHBOUR, direction, skb->len);
		return to_neighbour(skb, flow->out[side & 1], &flow->next_hop);
	}
	bool spoilt = false;
	if (action == ACTION_TUNNEL && !too_big(skb, config.tunnel_mtu)) {
		if (write_tunnel(skb, &flow->tunnel, flow->identity[side & 1], skb->protocol == bpf_htons(ETH_P_IPV6))) {
			count_forwarded(ACTION_TUNNEL, direction, skb->len);
			skb->mark = 0;
			return to_neighbour(skb, flow->out[side & 1], &flow->next_hop);
		}
		spoilt = true;
	}
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	/* What the programs that write need to know; IPv4 and IPv6 without anything between IP and transport. */
	p->key = *key;
	p->side = side;
	p->flags = skb->protocol == bpf_htons(ETH_P_IPV6) ? PACKET_V6 : 0;
	p->l4 = ETH_HLEN + (p->flags & PACKET_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	p->protocol = key->protocol;
	p->entry = entry;
	p->source = side ? key->b : key->a;
	p->destination = side ? key->a : key->b;
	p->source_port = side ? key->port_b : key->port_a;
	p->destination_port = side ? key->port_a : key->port_b;
	p->tcp_flags = tcp_flags;
	p->length = skb->len - ETH_HLEN;
	p->tunnel_identity = tunnel_identity;
	p->direction = direction;
	name_ends(p, flow);
	p->audit = p->icmp = p->inner = p->staged[0] = p->staged[1] = 0;
	load_hop(&p->hop, flow, side);
	if (spoilt)
		return drop(skb, p, DROP_WRITE_ERROR);
	switch (action) {
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
	}
	return TC_ACT_SHOT;
}

/* Both at once: the verdict, or -1 for what has to be judged. */
static __always_inline int fast_plain(struct __sk_buff *skb, bool v6, __u32 entry, __u32 tunnel_identity,
				      const __u32 direction)
{
	struct flow_key key;
	__u8 tcp_flags;
	int side = v6 ? parse_plain(skb, &key, &tcp_flags, true) : parse_plain(skb, &key, &tcp_flags, false);

	return side < 0 ? -1 : fast(skb, &key, side, tcp_flags, entry, tunnel_identity, direction);
}
