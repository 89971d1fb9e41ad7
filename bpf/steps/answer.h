/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the node itself says to a pod, as its gateway: echo replies, too big, time exceeded. The packet is turned round in
 * place and goes back through the pod's own door. */
#pragma once
#include <stddef.h>
#include "deliver.h"
#include "parse.h"
#include "encap.h"

static __always_inline int back_to_sender(struct __sk_buff *skb, __be16 type)
{
	struct ethhdr eth = {.h_proto = type};
	for (int i = 0; i < ETH_ALEN; i++) {
		eth.h_dest[i] = config.pod_mac[i];
		eth.h_source[i] = config.gateway_mac[i];
	}
	bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0);
	bpf_skb_change_type(skb, 0); /* PACKET_HOST, whatever the question was sent to */
	return into_pod(skb, skb->ifindex);
}

static __always_inline int answer_echo(struct __sk_buff *skb, struct packet *p)
{
	const bool v6 = p->flags & PACKET_V6;
	__u8 reply = v6 ? 129 : 0;
	__be16 old = v6 ? bpf_htons(128 << 8) : bpf_htons(8 << 8), new = bpf_htons(reply << 8);

	if (v6) {
		bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, saddr), &p->destination, 16, 0);
		bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, daddr), &p->source, 16, 0);
	} else {
		bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr), &p->destination.word[3], 4, 0);
		bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, daddr), &p->source.word[3], 4, 0);
	}
	if (bpf_l4_csum_replace(skb, p->l4 + 2, old, new, 2) || bpf_skb_store_bytes(skb, p->l4, &reply, 1, 0))
		return drop(skb, p, DROP_WRITE_ERROR);
	return back_to_sender(skb, skb->protocol);
}

/* Quoted: the IP header and 20 bytes, so that the checksum field of TCP stays inside (a packet whose checksum is still to
 * be filled in cannot be cut before it). */
#define QUOTED_V4 (sizeof(struct iphdr) + 20)
#define QUOTED_V6 (sizeof(struct ipv6hdr) + 20)

struct error_v4 {
	struct iphdr ip;
	__u8 type, code;
	__be16 checksum;
	__be16 unused, mtu;
	__u8 quoted[QUOTED_V4];
} __attribute__((packed, aligned(4)));

struct error_v6 {
	struct ipv6hdr ip;
	__u8 type, code;
	__be16 checksum;
	__be32 mtu;
	__u8 quoted[QUOTED_V6];
} __attribute__((packed, aligned(4)));

static __always_inline int answer_error_v4(struct __sk_buff *skb, struct packet *p)
{
	struct error_v4 e = {};
	if (skb->len < ETH_HLEN + QUOTED_V4 || bpf_skb_load_bytes(skb, ETH_HLEN, e.quoted, QUOTED_V4) ||
	    bpf_skb_change_tail(skb, ETH_HLEN + QUOTED_V4, 0) ||
	    bpf_skb_adjust_room(skb, sizeof(e) - QUOTED_V4, BPF_ADJ_ROOM_MAC, 0))
		return drop(skb, p, p->answer == ANSWER_TTL ? DROP_TTL_EXCEEDED : DROP_FRAGMENTATION_NEEDED);
	e.ip.version = 4;
	e.ip.ihl = 5;
	e.ip.tot_len = bpf_htons(sizeof(e));
	e.ip.ttl = 64;
	e.ip.protocol = IPPROTO_ICMP;
	e.ip.saddr = config.gateway_ipv4.word[3];
	e.ip.daddr = p->source.word[3];
	e.ip.check = fold((__u64)bpf_htons(0x4500) + e.ip.tot_len + bpf_htons(64 << 8 | IPPROTO_ICMP) + e.ip.saddr +
			  e.ip.daddr);
	e.type = p->answer == ANSWER_TTL ? 11 : 3;
	e.code = p->answer == ANSWER_TTL ? 0 : 4;
	e.mtu = p->answer == ANSWER_TTL ? 0 : bpf_htons(p->mtu);
	__s64 sum = bpf_csum_diff(0, 0, (__be32 *)&e.type, sizeof(e) - sizeof(e.ip), 0);
	e.checksum = fold(sum);
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &e, sizeof(e), BPF_F_INVALIDATE_HASH))
		return drop(skb, p, DROP_WRITE_ERROR);
	return back_to_sender(skb, bpf_htons(ETH_P_IP));
}

static __always_inline int answer_error_v6(struct __sk_buff *skb, struct packet *p)
{
	struct error_v6 e = {};
	if (skb->len < ETH_HLEN + QUOTED_V6 || bpf_skb_load_bytes(skb, ETH_HLEN, e.quoted, QUOTED_V6) ||
	    bpf_skb_change_tail(skb, ETH_HLEN + QUOTED_V6, 0) ||
	    bpf_skb_adjust_room(skb, sizeof(e) - QUOTED_V6, BPF_ADJ_ROOM_MAC, 0))
		return drop(skb, p, p->answer == ANSWER_TTL ? DROP_TTL_EXCEEDED : DROP_FRAGMENTATION_NEEDED);
	struct address gateway;
	copy_const(&gateway, &config.gateway_ipv6);
	e.ip.version = 6;
	e.ip.payload_len = bpf_htons(sizeof(e) - sizeof(e.ip));
	e.ip.nexthdr = PROTOCOL_ICMPV6;
	e.ip.hop_limit = 64;
	__builtin_memcpy(&e.ip.saddr, &gateway, 16);
	__builtin_memcpy(&e.ip.daddr, &p->source, 16);
	e.type = p->answer == ANSWER_TTL ? 3 : 2;
	e.mtu = p->answer == ANSWER_TTL ? 0 : bpf_htonl(p->mtu);
	/* Pseudo header: addresses, length, protocol. */
	__s64 sum = bpf_csum_diff(0, 0, (__be32 *)&e.ip.saddr, sizeof(e) - offsetof(struct ipv6hdr, saddr), 0);
	e.checksum = fold((__u64)(__u32)sum + e.ip.payload_len + bpf_htons(PROTOCOL_ICMPV6));
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &e, sizeof(e), BPF_F_INVALIDATE_HASH))
		return drop(skb, p, DROP_WRITE_ERROR);
	return back_to_sender(skb, bpf_htons(ETH_P_IPV6));
}

static __always_inline bool may_fragment(struct __sk_buff *skb)
{
	__be16 word = 0;
	bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, frag_off), &word, sizeof(word));
	return !(word & bpf_htons(DONT_FRAGMENT));
}

static __always_inline int answer(struct __sk_buff *skb, struct packet *p)
{
	if (p->answer == ANSWER_ECHO)
		return answer_echo(skb, p);
	if (p->flags & PACKET_V6)
		return answer_error_v6(skb, p);
	if (p->answer == ANSWER_TOO_BIG && may_fragment(skb)) {
		if (p->hop.action == ACTION_NEIGHBOUR)
			return TC_ACT_OK; /* the kernel cuts it up */
		return drop(skb, p, DROP_FRAGMENTATION_NEEDED);
	}
	return answer_error_v4(skb, p);
}
