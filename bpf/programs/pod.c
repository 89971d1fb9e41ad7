// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What pods send (from_pod, tcx ingress of every pod's host veth) and what the kernel itself brings them (to_pod, tcx
 * egress there). One program for all pods; what writes into packets, or takes long, is a tail call away. */
#include "../steps/call.h"
#include "../steps/packet.h"

#define CALL_TABLE cilium_pod_calls

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int pod_judge(struct __sk_buff *skb);
int pod_tunnel(struct __sk_buff *skb);
int pod_masquerade(struct __sk_buff *skb);
int pod_service(struct __sk_buff *skb);
int pod_service_reply(struct __sk_buff *skb);
int pod_answer(struct __sk_buff *skb);
int pod_neighbour(struct __sk_buff *skb);
int pod_proxy(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16); /* CALLS, and room for more: the table is kept when programs are replaced */
	__uint(key_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int(void *));
} cilium_pod_calls SEC(".maps") = {
	.values = {
		[CALL_JUDGE] = (void *)&pod_judge,
		[CALL_TUNNEL] = (void *)&pod_tunnel,
		[CALL_MASQUERADE] = (void *)&pod_masquerade,
		[CALL_SERVICE] = (void *)&pod_service,
		[CALL_SERVICE_REPLY] = (void *)&pod_service_reply,
		[CALL_ANSWER] = (void *)&pod_answer,
		[CALL_NEIGHBOUR] = (void *)&pod_neighbour,
		[CALL_PROXY] = (void *)&pod_proxy,
	},
};

#include "../steps/answer.h"
#include "../steps/encap.h"
#include "../steps/fast.h"
#include "../steps/judge.h"
#include "../steps/masquerade.h"
#include "../steps/neighbour.h"
#include "../steps/proxy.h"
#include "../steps/service.h"

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct flow_key key;
	__u8 tcp_flags;
	int side, verdict;

	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		side = parse_plain(skb, &key, &tcp_flags, false);
		break;
	case bpf_htons(ETH_P_IPV6):
		side = parse_plain(skb, &key, &tcp_flags, true);
		break;
	default:
		call(skb, CALL_NEIGHBOUR);
		return TC_ACT_SHOT;
	}
	if (side >= 0) {
		verdict = fast(skb, &key, side, tcp_flags, skb->ifindex, 0, DIRECTION_EGRESS);
		if (verdict >= 0)
			return verdict;
	}
	struct packet *p = packet_slot();
	if (p) {
		p->translated = 0;
		call(skb, CALL_JUDGE);
	}
	return TC_ACT_SHOT;
}

SEC("tc")
int pod_judge(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	p->entry = skb->ifindex;
	p->tunnel_identity = 0;
	int error = parse(skb, p);
	if (error)
		return drop(skb, p, error);
	if (p->flags & PACKET_NEIGHBOUR) {
		call(skb, CALL_NEIGHBOUR);
		return TC_ACT_SHOT;
	}
	return judge(skb, p, WAY_FROM_POD);
}

STEP(pod_tunnel, tunnel(skb, p, DIRECTION_EGRESS))
STEP(pod_masquerade, masquerade(skb, p, DIRECTION_EGRESS))
STEP(pod_service, to_backend(skb, p, DIRECTION_EGRESS))
STEP(pod_service_reply, from_backend(skb, p, DIRECTION_EGRESS))
STEP(pod_answer, answer(skb, p))
STEP(pod_proxy, p->entry & ENTRY_TO_POD ? send_round(skb, p) : to_proxy(skb, p, DIRECTION_EGRESS))

/* ARP, and what pod_judge recognised as neighbour discovery. */
SEC("tc")
int pod_neighbour(struct __sk_buff *skb)
{
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return answer_arp(skb, p);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return answer_discovery(skb, p);
	__builtin_memset(&p->source, 0, sizeof(p->source));
	__builtin_memset(&p->destination, 0, sizeof(p->destination));
	__builtin_memset(p->end, 0, sizeof(p->end));
	p->direction = DIRECTION_EGRESS;
	p->length = skb->len - ETH_HLEN;
	p->rule[0] = p->rule[1] = p->flags = p->audit = p->tunnel_identity = 0;
	p->source_port = p->destination_port = p->protocol = p->tcp_flags = 0;
	return drop(skb, p, DROP_UNSUPPORTED_L2);
}

/* The policy may have changed since: what was asked of a service address is still answered from there. */
static __always_inline int answer_of_proxy(struct __sk_buff *skb, struct packet *p, const struct flow_key *key, int side)
{
	struct flow *flow = side >= 0 ? bpf_map_lookup_elem(&cilium_flows, key) : 0;

	if (flow && flow->action[side & 1] == ACTION_SERVICE_REPLY) {
		p->entry = skb->ifindex | ENTRY_TO_POD;
		p->tunnel_identity = p->translated = 0;
		if (parse(skb, p))
			return TC_ACT_SHOT;
		p->direction = DIRECTION_INGRESS;
		p->rule[0] = p->rule[1] = p->audit = 0;
		load_hop(&p->hop, flow, side);
		call(skb, CALL_SERVICE_REPLY);
	}
	return TC_ACT_OK;
}

/* Packets of the node, and what the kernel routed. Whatever pods get from each other passes by below. */
SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct flow_key key;
	__u8 tcp_flags;
	bool v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	int side, verdict, error;

	if (v6)
		side = parse_plain(skb, &key, &tcp_flags, true);
	else if (skb->protocol == bpf_htons(ETH_P_IP))
		side = parse_plain(skb, &key, &tcp_flags, false);
	else
		return skb->protocol == bpf_htons(ETH_P_ARP) ? TC_ACT_OK : TC_ACT_SHOT;
	if (side >= 0) {
		verdict = fast(skb, &key, side, tcp_flags, skb->ifindex | ENTRY_TO_POD, 0, DIRECTION_INGRESS);
		if (verdict >= 0)
			return verdict;
	}
	struct packet *p = packet_slot();
	if (!p)
		return TC_ACT_SHOT;
	if (is_downstream(skb->mark & PROXY_ROLE)) /* answers of the proxy: whom it answers was judged when he asked */
		return answer_of_proxy(skb, p, &key, side);
	p->translated = 0;
	p->entry = skb->ifindex | ENTRY_TO_POD;
	p->tunnel_identity = 0;
	error = parse(skb, p);
	p->direction = DIRECTION_INGRESS;
	if (error)
		return drop(skb, p, error);
	if (p->flags & PACKET_NEIGHBOUR)
		return TC_ACT_OK;
	verdict = answer_of_node(skb, p);
	return verdict >= 0 ? verdict : judge(skb, p, WAY_TO_POD);
}
