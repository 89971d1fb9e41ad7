/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Any packet into struct packet, by copies (so nothing has to be linear): IPv4 options, IPv6 extension headers,
 * fragments, ICMP echo, ICMP errors with the packet they quote. Returns 0 or a drop code. */
#pragma once
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "packet.h"

#define ECHO_V4 bpf_htons(8 << 8) /* 'port' of the end that answers */
#define ECHO_V6 bpf_htons(128 << 8)
#define EXTENSION_HEADERS 8 /* more is nobody's honest packet */

struct ip_chain {
	__u32 l4;
	__u32 id;
	__u16 fragment; /* offset in 8 bytes, host order */
	__u8 more;
	__u8 protocol;
};

static __always_inline int walk_extensions(struct __sk_buff *skb, __u32 l3, __u8 next, struct ip_chain *chain)
{
	__u8 header[8];
	__u32 at = l3 + sizeof(struct ipv6hdr);

	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
		case IPPROTO_AH:
			break;
		default:
			chain->l4 = at;
			chain->protocol = next;
			return 0;
		}
		if (bpf_skb_load_bytes(skb, at, header, sizeof(header)))
			return DROP_INVALID_EXTENSION_HEADER;
		if (next == IPPROTO_FRAGMENT) {
			__u16 word = header[2] << 8 | header[3];
			chain->fragment = word >> 3;
			chain->more = word & 1;
			__builtin_memcpy(&chain->id, header + 4, 4);
			at += 8;
			if (chain->fragment) { /* what follows is not a header */
				chain->l4 = at;
				chain->protocol = header[0];
				return 0;
			}
		} else if (next == IPPROTO_AH) {
			at += (header[1] + 2) * 4;
		} else {
			at += (header[1] + 1) * 8;
		}
		next = header[0];
	}
	return DROP_INVALID_EXTENSION_HEADER;
}

static __always_inline int parse_v4(struct __sk_buff *skb, __u32 l3, struct address *source,
				    struct address *destination, struct ip_chain *chain, __u32 *length)
{
	struct iphdr ip;
	if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)))
		return DROP_INVALID_PACKET;
	*length = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl < 5)
		return DROP_INVALID_PACKET;
	__u16 fragment = bpf_ntohs(ip.frag_off);
	map_v4(source, ip.saddr);
	map_v4(destination, ip.daddr);
	chain->l4 = l3 + ip.ihl * 4;
	chain->protocol = ip.protocol;
	chain->fragment = fragment & 0x1fff;
	chain->more = fragment >> 13 & 1;
	chain->id = ip.id;
	return 0;
}

static __always_inline int parse_v6(struct __sk_buff *skb, __u32 l3, struct address *source,
				    struct address *destination, struct ip_chain *chain, __u32 *length)
{
	struct ipv6hdr ip;
	if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)))
		return DROP_INVALID_PACKET;
	if (ip.version != 6)
		return DROP_INVALID_PACKET;
	*length = bpf_ntohs(ip.payload_len) + sizeof(ip);
	__builtin_memcpy(source, &ip.saddr, sizeof(*source));
	__builtin_memcpy(destination, &ip.daddr, sizeof(*destination));
	chain->fragment = chain->more = 0;
	chain->id = 0;
	return walk_extensions(skb, l3, ip.nexthdr, chain);
}

/* Ports of TCP, UDP and SCTP; for the first fragment they are kept for the later ones. */
static __always_inline int parse_ports(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__be16 source, destination;
		__be32 rest[3];
	} header = {};
	int error = p->protocol == IPPROTO_TCP ? bpf_skb_load_bytes(skb, p->l4, &header, 16)
					       : bpf_skb_load_bytes(skb, p->l4, &header, 8);
	if (error)
		return DROP_CT_TRUNCATED_HEADER;
	p->source_port = header.source;
	p->destination_port = header.destination;
	if (p->protocol == IPPROTO_TCP)
		p->tcp_flags = bpf_ntohl(header.rest[2]) >> 16;
	return 0;
}

static __always_inline int track_fragment(struct __sk_buff *skb, struct packet *p, const struct ip_chain *chain)
{
	struct fragment_key key = {
		.source = p->source, .destination = p->destination, .id = chain->id, .protocol = p->protocol};

	p->flags |= PACKET_FRAGMENT;
	if (chain->fragment) {
		const struct fragment *first = bpf_map_lookup_elem(&cilium_fragments, &key);
		if (!first)
			return DROP_FRAGMENT_NOT_FOUND;
		p->flags |= PACKET_LATER_FRAGMENT;
		p->source_port = first->source_port;
		p->destination_port = first->destination_port;
		if (p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6)
			p->icmp = first->source_port == ECHO_V4	  ? 0
				  : first->source_port == ECHO_V6 ? 129 << 8
								  : bpf_ntohs(first->destination_port);
		return 0;
	}
	struct fragment first = {.source_port = p->source_port, .destination_port = p->destination_port};
	bpf_map_update_elem(&cilium_fragments, &key, &first, BPF_ANY);
	(void)skb;
	return 0;
}

/* The tuple of the packet that an ICMP error quotes. */
global int parse_quoted(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return 0;
	struct ip_chain chain = {};
	struct tuple *quoted = &p->quoted;
	const bool v6 = p->flags & PACKET_V6;
	__u32 length = 0;
	__be16 l4[4] = {};
	int error = v6 ? parse_v6(skb, p->inner, &quoted->source, &quoted->destination, &chain, &length)
		       : parse_v4(skb, p->inner, &quoted->source, &quoted->destination, &chain, &length);

	if (error || chain.fragment || bpf_skb_load_bytes(skb, chain.l4, l4, sizeof(l4)))
		return 0;
	p->inner_l4 = chain.l4;
	quoted->protocol = chain.protocol;
	switch (chain.protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		quoted->source_port = l4[0];
		quoted->destination_port = l4[1];
		return 1;
	case IPPROTO_ICMP:
	case PROTOCOL_ICMPV6: /* only echo requests are worth following */
		quoted->source_port = l4[2];
		quoted->destination_port = l4[0];
		return l4[0] == (v6 ? ECHO_V6 : ECHO_V4);
	}
	return 0;
}

static __always_inline bool is_icmp_error(__u8 type, const bool v6)
{
	return v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

static __always_inline int parse_icmp(struct __sk_buff *skb, struct packet *p, const bool v6)
{
	__u8 header[8];
	if (bpf_skb_load_bytes(skb, p->l4, header, sizeof(header))) {
		if (bpf_skb_load_bytes(skb, p->l4, header, 4))
			return DROP_CT_TRUNCATED_HEADER;
		header[4] = header[5] = 0;
	}
	__u8 type = header[0];
	__be16 id;
	__builtin_memcpy(&id, header + 4, sizeof(id));
	p->icmp = type << 8 | header[1];

	if (type == (v6 ? 128 : 8)) {
		p->flags |= PACKET_ECHO_REQUEST;
		p->source_port = id;
		p->destination_port = bpf_htons(p->icmp);
	} else if (type == (v6 ? 129 : 0)) {
		p->source_port = v6 ? ECHO_V6 : ECHO_V4;
		p->destination_port = id;
	} else {
		p->source_port = 0;
		p->destination_port = bpf_htons(p->icmp);
		if (is_icmp_error(type, v6))
			p->inner = p->l4 + 8;
		if (v6 && ((type >= 130 && type <= 137) || type == 143))
			p->flags |= PACKET_NEIGHBOUR;
	}
	return 0;
}

/* Everything but entry, tunnel and translation, which belong to the caller. */
global int parse(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return DROP_INVALID_PACKET;
	const bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	struct ip_chain chain = {};
	int error;

	p->flags = v6 ? PACKET_V6 : 0;
	p->tcp_flags = 0;
	p->icmp = 0;
	p->inner = 0;
	p->source_port = p->destination_port = 0;
	p->direction = DIRECTION_EGRESS;
	p->rule[0] = p->rule[1] = p->staged[0] = p->staged[1] = 0;
	p->audit = 0;
	p->length = 0;
	p->protocol = 0;
	p->hop.nat_port = p->hop.service_port = 0;
	__builtin_memset(p->end, 0, sizeof(p->end));

	error = v6 ? parse_v6(skb, ETH_HLEN, &p->source, &p->destination, &chain, &p->length)
		   : parse_v4(skb, ETH_HLEN, &p->source, &p->destination, &chain, &p->length);
	p->protocol = chain.protocol;
	p->l4 = chain.l4;
	if (error)
		return error;
	/* GSO packets beyond 64 k say 0; everything else says at least its headers and no more than there is. */
	if (!skb->gso_size && (p->length > skb->len - ETH_HLEN || p->length + ETH_HLEN < chain.l4))
		return DROP_INVALID_PACKET;

	if (!chain.fragment) {
		switch (chain.protocol) {
		case IPPROTO_TCP:
		case IPPROTO_UDP:
		case IPPROTO_SCTP:
			error = parse_ports(skb, p);
			break;
		case IPPROTO_ICMP:
			error = v6 ? DROP_UNKNOWN_L4 : parse_icmp(skb, p, false);
			break;
		case PROTOCOL_ICMPV6:
			error = v6 ? parse_icmp(skb, p, true) : DROP_UNKNOWN_L4;
			break;
		}
		if (error)
			return error;
	}
	if (chain.fragment || chain.more) {
		error = track_fragment(skb, p, &chain);
		if (error)
			return error;
	}
	p->side = sort_key(&p->key, &p->source, p->source_port, &p->destination, p->destination_port, p->protocol,
			   true);
	return 0;
}

/* An ICMP error is about the packet it quotes: its key becomes that packet's flow, its side the one that would reply.
 * False: not an error, or about nothing that can be followed. */
static __always_inline bool relate(struct __sk_buff *skb, struct packet *p)
{
	const struct tuple *q = &p->quoted;
	if (!p->inner || !parse_quoted(skb, p))
		return false;
	p->side = sort_key(&p->key, &q->source, q->source_port, &q->destination, q->destination_port, q->protocol,
			   true) ^ 1;
	return true;
}
