/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ARP (RFC 826) and neighbour discovery (RFC 4861) of pods: there is one neighbour, the gateway, and it answers at once.
 * Answers of pods to the node are let through when they speak of the pod's own address. */
#pragma once
#include <stddef.h>
#include "answer.h"

struct arp_packet {
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed, aligned(2)));

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

static __always_inline int answer_arp(struct __sk_buff *skb, struct packet *p)
{
	struct arp_packet arp;
	__u32 number = skb->ifindex;
	const struct interface *pod = bpf_map_lookup_elem(&cilium_interfaces, &number);

	p->direction = DIRECTION_EGRESS;
	p->length = skb->len - ETH_HLEN;
	if (!pod || bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || arp.hardware != bpf_htons(1) ||
	    arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 || arp.protocol_length != 4)
		return drop_quietly(p);
	if (arp.operation == bpf_htons(2))
		return arp.sender == pod->ipv4.word[3] && same_mac(arp.sender_mac, pod->mac) ? TC_ACT_OK
											     : drop_quietly(p);
	if (arp.operation != bpf_htons(1) || arp.target != config.gateway_ipv4.word[3])
		return drop_quietly(p);
	arp.operation = bpf_htons(2);
	__builtin_memcpy(arp.target_mac, arp.sender_mac, 6);
	for (int i = 0; i < ETH_ALEN; i++)
		arp.sender_mac[i] = config.gateway_mac[i];
	arp.target = arp.sender;
	arp.sender = config.gateway_ipv4.word[3];
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &arp, sizeof(arp), 0))
		return drop_quietly(p);
	return back_to_sender(skb, bpf_htons(ETH_P_ARP));
}

struct advertisement {
	struct ipv6hdr ip;
	__u8 type, code;
	__be16 checksum;
	__be32 flags;
	struct address target;
	__u8 option, option_length;
	__u8 mac[6];
} __attribute__((packed, aligned(4)));

#define ROUTER_SOLICITED_OVERRIDE 0xe0000000

/* p is parsed: a message of neighbour or router discovery, or a multicast listener's. */
static __always_inline int answer_discovery(struct __sk_buff *skb, struct packet *p)
{
	struct advertisement a = {};
	struct address target, gateway;
	__u32 number = skb->ifindex;
	const struct interface *pod = bpf_map_lookup_elem(&cilium_interfaces, &number);
	__u8 type = p->icmp >> 8;

	if (!pod || (type != 135 && type != 136) || bpf_skb_load_bytes(skb, p->l4 + 8, &target, sizeof(target)))
		return drop_quietly(p);
	if (type == 136)
		return equal(&target, &pod->ipv6) || is_link_local(&target) ? TC_ACT_OK : drop_quietly(p);
	copy_const(&gateway, &config.gateway_ipv6);
	if (!equal(&target, &gateway) || is_zero(&p->source)) /* another's address, or a check for duplicates */
		return drop_quietly(p);
	if (bpf_skb_change_tail(skb, ETH_HLEN + sizeof(a), 0))
		return drop(skb, p, DROP_WRITE_ERROR);
	a.ip.version = 6;
	a.ip.payload_len = bpf_htons(sizeof(a) - sizeof(a.ip));
	a.ip.nexthdr = PROTOCOL_ICMPV6;
	a.ip.hop_limit = 255;
	__builtin_memcpy(&a.ip.saddr, &gateway, 16);
	__builtin_memcpy(&a.ip.daddr, &p->source, 16);
	a.type = 136;
	a.flags = bpf_htonl(ROUTER_SOLICITED_OVERRIDE);
	a.target = gateway;
	a.option = 2;
	a.option_length = 1;
	for (int i = 0; i < ETH_ALEN; i++)
		a.mac[i] = config.gateway_mac[i];
	__s64 sum = bpf_csum_diff(0, 0, (__be32 *)&a.ip.saddr, sizeof(a) - offsetof(struct ipv6hdr, saddr), 0);
	a.checksum = fold((__u64)(__u32)sum + a.ip.payload_len + bpf_htons(PROTOCOL_ICMPV6));
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &a, sizeof(a), 0))
		return drop(skb, p, DROP_WRITE_ERROR);
	return back_to_sender(skb, bpf_htons(ETH_P_IPV6));
}
