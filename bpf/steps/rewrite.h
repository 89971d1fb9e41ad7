/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changing one end of a packet, checksums included. Always by helpers: whether the checksum in the packet is a whole
 * one or only the pseudo header's (CHECKSUM_PARTIAL) is not to be seen from here. */
#pragma once
#include <stddef.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "deliver.h"
#include "parse.h"

enum which { SOURCE, DESTINATION };

static __always_inline __u32 address_offset(__u32 l3, __u32 which, bool v6)
{
	return v6 ? l3 + offsetof(struct ipv6hdr, saddr) + (which ? 16 : 0)
		  : l3 + offsetof(struct iphdr, saddr) + (which ? 4 : 0);
}

static __always_inline __u32 checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	default: /* ICMP of both kinds */
		return 2;
	}
}

static __always_inline int store_address(struct __sk_buff *skb, __u32 at, const struct address *new, bool v6)
{
	return v6 ? bpf_skb_store_bytes(skb, at, new, 16, 0) : bpf_skb_store_bytes(skb, at, &new->word[3], 4, 0);
}

static __always_inline __s64 difference(const struct address *old, const struct address *new, bool v6)
{
	return v6 ? bpf_csum_diff((__be32 *)old, 16, (__be32 *)new, 16, 0)
		  : bpf_csum_diff((__be32 *)&old->word[3], 4, (__be32 *)&new->word[3], 4, 0);
}

/* Source or destination becomes `new`, its port (of ICMP echo: the identifier) `new_port`. False: could not. */
global int rewrite(struct __sk_buff *skb, struct packet *p, __u32 which, const struct address *new, __u32 port_arg)
{
	if (!p || !new)
		return 0;
	const __be16 new_port = port_arg;
	const bool v6 = p->flags & PACKET_V6;
	const bool icmp = p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6;
	const struct address *old = which == SOURCE ? &p->source : &p->destination;
	__be16 old_port = which == SOURCE ? p->source_port : p->destination_port;
	__s64 sum = difference(old, new, v6);
	__u32 checksum = p->l4 + checksum_offset(p->protocol);
	__u64 mangled = p->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	if (store_address(skb, address_offset(ETH_HLEN, which, v6), new, v6))
		return 0;
	if (!v6 && bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), 0, sum, 0))
		return 0;
	if (p->flags & PACKET_LATER_FRAGMENT)
		return 1;
	if (p->protocol != IPPROTO_ICMP &&
	    bpf_l4_csum_replace(skb, checksum, 0, sum, BPF_F_PSEUDO_HDR | mangled))
		return 0;
	if (p->inner || old_port == new_port)
		return 1;
	if (bpf_l4_csum_replace(skb, checksum, old_port, new_port, 2 | mangled))
		return 0;
	__u32 port = icmp ? p->l4 + 4 : p->l4 + (which == SOURCE ? 0 : 2);
	return !bpf_skb_store_bytes(skb, port, &new_port, sizeof(new_port), 0);
}

/* The same for the packet that an ICMP error quotes. Its transport checksum is nobody's concern any more; IPv4's header
 * checksum makes up for its address, so the ICMP checksum only feels the port (IPv6: the address too). */
global int rewrite_quoted(struct __sk_buff *skb, struct packet *p, __u32 which, const struct address *new,
			  __u32 port_arg)
{
	if (!p || !new)
		return 0;
	const __be16 new_port = port_arg;
	const bool v6 = p->flags & PACKET_V6;
	const struct tuple *q = &p->quoted;
	const struct address *old = which == SOURCE ? &q->source : &q->destination;
	__be16 old_port = which == SOURCE ? q->source_port : q->destination_port;
	const bool echo = q->protocol == IPPROTO_ICMP || q->protocol == PROTOCOL_ICMPV6;
	__s64 sum = difference(old, new, v6);
	__u32 port = p->inner_l4 + (echo ? 4 : which == SOURCE ? 0 : 2);

	if (store_address(skb, address_offset(p->inner, which, v6), new, v6))
		return 0;
	if (v6 ? bpf_l4_csum_replace(skb, p->l4 + 2, 0, sum, 0)
	       : bpf_l3_csum_replace(skb, p->inner + offsetof(struct iphdr, check), 0, sum, 0))
		return 0;
	if (old_port == new_port)
		return 1;
	if (bpf_l4_csum_replace(skb, p->l4 + 2, old_port, new_port, 2))
		return 0;
	return !bpf_skb_store_bytes(skb, port, &new_port, sizeof(new_port), 0);
}
