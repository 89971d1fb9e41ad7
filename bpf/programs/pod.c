// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What pods send (from_pod, tcx ingress of every pod's host veth) and what the kernel itself brings them (to_pod, tcx
 * egress there). One program for all pods. */
#define CALL_TABLE cilium_pod_calls
#include "../steps/packet.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int pod_judge(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__uint(key_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int(void *));
} cilium_pod_calls SEC(".maps") = {
	.values = {
		[0] = (void *)&pod_judge, /* by enum call */
	},
};

#include "../steps/fast.h"
#include "../steps/judge.h"

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
	call(skb, CALL_JUDGE);
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
	int error = skb->protocol == bpf_htons(ETH_P_IPV6) ? parse(skb, p, true, 0) : parse(skb, p, false, 0);
	if (error)
		return drop(skb, p, error);
	return judge(skb, p, WAY_FROM_POD);
}
