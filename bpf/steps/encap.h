/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* VXLAN (RFC 7348) written by the program itself: cheaper than the kernel's device, and than plain routing. The VNI is
 * the sender's identity. Headers are stored in one go: room for them was made by the helper that also uncloned. */
#pragma once
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "deliver.h"

#define VXLAN_HAS_VNI 0x08
#define DONT_FRAGMENT 0x4000

struct vxlan_part {
	struct udphdr udp;
	__u8 flags;
	__u8 reserved[3];
	__be32 vni; /* << 8 */
	struct ethhdr inner;
} __attribute__((packed));

struct tunnel_v4 {
	struct iphdr ip;
	struct vxlan_part vxlan;
} __attribute__((packed));

struct tunnel_v6 {
	struct ipv6hdr ip;
	struct vxlan_part vxlan;
} __attribute__((packed));

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void fill_vxlan(struct __sk_buff *skb, struct vxlan_part *v, __u32 identity, __u32 length,
				       bool v6)
{
	__u32 hash = bpf_get_hash_recalc(skb);
	v->udp.source = bpf_htons(0x8000 | ((hash ^ hash >> 16) & 0x7fff));
	v->udp.dest = bpf_htons(config.tunnel_port);
	v->udp.len = bpf_htons(length);
	v->udp.check = 0;
	v->flags = VXLAN_HAS_VNI;
	v->reserved[0] = v->reserved[1] = v->reserved[2] = 0;
	v->vni = bpf_htonl(identity << 8);
	for (int i = 0; i < ETH_ALEN; i++) {
		v->inner.h_dest[i] = config.pod_mac[i];
		v->inner.h_source[i] = config.gateway_mac[i];
	}
	v->inner.h_proto = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}

#define ROOM_FOR_VXLAN                                                                                         \
	(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | \
	 BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

/* False: no memory, or the packet is too long for any device. */
static __always_inline bool write_tunnel(struct __sk_buff *skb, const struct address *node, __u32 identity, bool v6)
{
	if (is_mapped(node)) {
		struct tunnel_v4 t = {};
		if (bpf_skb_adjust_room(skb, sizeof(t), BPF_ADJ_ROOM_MAC,
					ROOM_FOR_VXLAN | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
			return false;
		__u32 length = skb->len - ETH_HLEN;
		t.ip.version = 4;
		t.ip.ihl = 5;
		t.ip.tot_len = bpf_htons(length);
		t.ip.frag_off = bpf_htons(DONT_FRAGMENT);
		t.ip.ttl = 64;
		t.ip.protocol = IPPROTO_UDP;
		t.ip.saddr = config.node_ipv4.word[3];
		t.ip.daddr = node->word[3];
		/* Big-endian words summed as they lie: the sum of RFC 1071 does not mind. */
		t.ip.check = fold((__u64)bpf_htons(0x4500) + t.ip.tot_len + t.ip.frag_off + bpf_htons(64 << 8 | IPPROTO_UDP) +
				  t.ip.saddr + t.ip.daddr);
		fill_vxlan(skb, &t.vxlan, identity, length - sizeof(t.ip), v6);
		return !bpf_skb_store_bytes(skb, ETH_HLEN, &t, sizeof(t), 0);
	}
	struct tunnel_v6 t = {};
	if (bpf_skb_adjust_room(skb, sizeof(t), BPF_ADJ_ROOM_MAC, ROOM_FOR_VXLAN | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
		return false;
	__u32 length = skb->len - ETH_HLEN - sizeof(t.ip);
	t.ip.version = 6;
	t.ip.payload_len = bpf_htons(length);
	t.ip.nexthdr = IPPROTO_UDP;
	t.ip.hop_limit = 64;
	struct address own;
	copy_const(&own, &config.node_ipv6);
	__builtin_memcpy(&t.ip.saddr, &own, sizeof(own));
	__builtin_memcpy(&t.ip.daddr, node, sizeof(*node));
	fill_vxlan(skb, &t.vxlan, identity, length, v6);
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &t, sizeof(t), 0);
}

/* Sends it to p->hop.tunnel. */
static __always_inline int tunnel(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	struct hop hop = p->hop;

	if (too_big(skb, config.tunnel_mtu)) {
		p->answer = ANSWER_TOO_BIG;
		p->mtu = config.tunnel_mtu;
		call(skb, CALL_ANSWER);
		return TC_ACT_SHOT;
	}
	if (!write_tunnel(skb, &hop.tunnel, hop.identity, skb->protocol == bpf_htons(ETH_P_IPV6)))
		return drop(skb, p, DROP_WRITE_ERROR);
	count_forwarded(ACTION_TUNNEL, direction, skb->len);
	skb->mark = 0;
	return to_neighbour(skb, hop.out, &hop.next_hop);
}
