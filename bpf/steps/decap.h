/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Out of the tunnel, if a node of the cluster sent it: the VNI is believed as the sender's identity. */
#pragma once
#include <stddef.h>
#include "fast.h"
#include "identity.h"

/* Takes `length` bytes of outer headers away. A family that changes is changed first, while there is an outer header to
 * change: the flags by which adjust_room does it in one go came with Linux 6.3. */
static __always_inline bool strip(struct __sk_buff *skb, __s32 length, __be16 outer, __be16 inner)
{
	if (outer != inner) {
		const __s32 more = sizeof(struct ipv6hdr) - sizeof(struct iphdr);
		if (bpf_skb_change_proto(skb, inner, 0))
			return false;
		length += inner == bpf_htons(ETH_P_IPV6) ? more : -more;
	}
	if (bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	return outer == inner || !bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &inner, 2, 0);
}

/* A packet to the tunnel's port. Returns 0 or a drop code; sets p->entry, tunnel_identity and tunnel_source. */
static __always_inline int decapsulate(struct __sk_buff *skb, struct packet *p)
{
	const bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct vxlan_part vxlan;
	struct flow_key none = {};

	p->key = none;
	p->flags = v6 ? PACKET_V6 : 0;
	p->protocol = IPPROTO_UDP;
	p->icmp = p->tcp_flags = p->audit = p->translated = p->tunnel_identity = 0;
	p->rule[0] = p->rule[1] = 0;
	p->direction = DIRECTION_INGRESS;
	p->length = skb->len - ETH_HLEN;
	__builtin_memset(p->end, 0, sizeof(p->end));

	if (v6) {
		struct ipv6hdr ip;
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
			return DROP_INVALID_PACKET;
		__builtin_memcpy(&p->source, &ip.saddr, 16);
		__builtin_memcpy(&p->destination, &ip.daddr, 16);
	} else {
		struct iphdr ip;
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
			return DROP_INVALID_PACKET;
		map_v4(&p->source, ip.saddr);
		map_v4(&p->destination, ip.daddr);
	}
	if (bpf_skb_load_bytes(skb, ETH_HLEN + header, &vxlan, sizeof(vxlan)))
		return DROP_INVALID_PACKET;
	p->source_port = vxlan.udp.source;
	p->destination_port = vxlan.udp.dest;
	find_owner(p, 0);
	if (!(p->end[0].flags & OWNER_NODE))
		return DROP_UNKNOWN_SENDER;
	if (vxlan.flags != VXLAN_HAS_VNI)
		return DROP_INVALID_PACKET;

	const bool inner_v6 = vxlan.inner.h_proto == bpf_htons(ETH_P_IPV6);
	if (!inner_v6 && vxlan.inner.h_proto != bpf_htons(ETH_P_IP))
		return DROP_UNSUPPORTED_L3;
	__u32 identity = bpf_ntohl(vxlan.vni) >> 8;
	if (!identity)
		return DROP_INVALID_IDENTITY;
	if (identity == IDENTITY_HOST)
		identity = IDENTITY_REMOTE_NODE;
	if (!strip(skb, header + sizeof(vxlan), v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), vxlan.inner.h_proto))
		return DROP_WRITE_ERROR;
	p->tunnel_source = p->source;
	p->tunnel_identity = identity;
	p->entry = skb->ifindex | ENTRY_TUNNEL;
	return 0;
}

/* The established packet within the tunnel, from the node that its flow leads to: that one was known when the flow was
 * judged, and the epoch moves on when nodes change. Gives the verdict, or -1: then nothing has been done to it. */
static __always_inline int fast_decapsulate(struct __sk_buff *skb, const bool v6, const bool inner_v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 outer = header + sizeof(struct vxlan_part);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct vxlan_part *vxlan = data + ETH_HLEN + header;
	struct address source;
	struct flow_key key;
	__u8 tcp_flags;

	if (data + ETH_HLEN + outer > end || vxlan->flags != VXLAN_HAS_VNI)
		return -1;
	__u32 identity = bpf_ntohl(vxlan->vni) >> 8;
	if (identity == IDENTITY_HOST)
		identity = IDENTITY_REMOTE_NODE;
	if (v6)
		__builtin_memcpy(&source, &((struct ipv6hdr *)(data + ETH_HLEN))->saddr, sizeof(source));
	else
		map_v4(&source, ((struct iphdr *)(data + ETH_HLEN))->saddr);
	int side = parse_at(skb, &key, &tcp_flags, inner_v6, outer);
	if (side < 0)
		return -1;
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &key);
	if (!flow || flow->action[side & 1] != ACTION_PEER || !identity || flow->identity[side & 1] != identity ||
	    !equal(&flow->tunnel, &source) ||
	    !established(flow, side, skb->ifindex | ENTRY_TUNNEL, key.protocol, tcp_flags))
		return -1;
	if (!strip(skb, outer, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP),
		   inner_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP))) {
		count_metric(DROP_WRITE_ERROR, DIRECTION_INGRESS, skb->len); /* no memory: half of it may be done */
		return TC_ACT_SHOT;
	}
	count(flow, side, tcp_flags, skb->len);
	count_forwarded(ACTION_PEER, DIRECTION_INGRESS, skb->len);
	return into_pod(skb, flow->out[side & 1]);
}

/* The same for whatever families meet; the headers that it reads are in the linear part afterwards. */
static __always_inline int fast_out_of_tunnel(struct __sk_buff *skb)
{
	const bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	const __u32 at = ETH_HLEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	const __u32 all = at + sizeof(struct vxlan_part) + sizeof(struct ipv6hdr) + 14; /* up to the flags of TCP */

	/* Devices that split packets into pages leave little of them in the linear part. */
	__u32 there = skb->len < all ? skb->len : all;
	opaque(there);
	there &= 255;
	if (unlikely((void *)(long)skb->data + there > (void *)(long)skb->data_end))
		bpf_skb_pull_data(skb, there);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct vxlan_part *vxlan = data + at;
	if (data + at + sizeof(*vxlan) > end)
		return -1;
	switch (vxlan->inner.h_proto) {
	case bpf_htons(ETH_P_IP):
		return v6 ? fast_decapsulate(skb, true, false) : fast_decapsulate(skb, false, false);
	case bpf_htons(ETH_P_IPV6):
		return v6 ? fast_decapsulate(skb, true, true) : fast_decapsulate(skb, false, true);
	default:
		return -1;
	}
}
