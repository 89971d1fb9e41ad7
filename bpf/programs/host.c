// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes from other machines (wire.h) and what this node itself sends (node.h): one object, one table of tail calls. */
#include "../steps/packet.h"

#define CALL_TABLE cilium_host_calls

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int wire_judge(struct __sk_buff *skb);
int host_tunnel(struct __sk_buff *skb);
int wire_service(struct __sk_buff *skb);
int wire_service_reply(struct __sk_buff *skb);
int host_too_long(struct __sk_buff *skb);
int wire_decapsulate(struct __sk_buff *skb);
int wire_unmasquerade(struct __sk_buff *skb);
int wire_proxy(struct __sk_buff *skb);
int host_judge(struct __sk_buff *skb);
int host_masquerade(struct __sk_buff *skb);
int to_node(struct __sk_buff *skb);
int of_node(struct __sk_buff *skb);
int of_node_tunnel(struct __sk_buff *skb);
int host_proxy_answer(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__uint(key_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int(void *));
} cilium_host_calls SEC(".maps") = {
	.values = {
		/* by enum call */
		[0] = (void *)&wire_judge,
		[1] = (void *)&host_tunnel,
		[2] = (void *)&host_masquerade,
		[3] = (void *)&wire_service,
		[4] = (void *)&wire_service_reply,
		[5] = (void *)&host_too_long,
		[7] = (void *)&wire_decapsulate,
		[8] = (void *)&wire_unmasquerade,
		[9] = (void *)&wire_proxy,
		[10] = (void *)&host_judge,
		[11] = (void *)&to_node,
		[12] = (void *)&of_node,
		[13] = (void *)&of_node_tunnel,
		[14] = (void *)&host_proxy_answer,
	},
};

#include "node.h"
#include "wire.h"

STEP(wire_unmasquerade, unmasquerade(skb, p))
STEP(wire_proxy, to_proxy(skb, p, DIRECTION_INGRESS))
STEP(wire_service_reply, from_backend(skb, p, DIRECTION_INGRESS))
STEP(host_tunnel, tunnel(skb, p, DIRECTION_EGRESS))
STEP(host_masquerade, masquerade(skb, p, DIRECTION_EGRESS))

/* Run by user space, to translate the coarse clock of flow entries. */
SEC("syscall")
int clock(struct clock *now)
{
	now->jiffies = bpf_jiffies64();
	now->time = bpf_ktime_get_ns();
	return 0;
}
