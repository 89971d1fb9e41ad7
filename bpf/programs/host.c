// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes from other machines (wire.h) and what this node itself sends (node.h): one object, one table of tail calls. */
#include "../steps/call.h"
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
	__uint(max_entries, 16); /* CALLS, and room for more: the table is kept when programs are replaced */
	__uint(key_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(values, int(void *));
} cilium_host_calls SEC(".maps") = {
	.values = {
		[CALL_JUDGE] = (void *)&wire_judge,
		[CALL_TUNNEL] = (void *)&host_tunnel,
		[CALL_MASQUERADE] = (void *)&host_masquerade,
		[CALL_SERVICE] = (void *)&wire_service,
		[CALL_SERVICE_REPLY] = (void *)&wire_service_reply,
		[CALL_ANSWER] = (void *)&host_too_long,
		[CALL_DECAPSULATE] = (void *)&wire_decapsulate,
		[CALL_UNMASQUERADE] = (void *)&wire_unmasquerade,
		[CALL_PROXY] = (void *)&wire_proxy,
		[CALL_PROXY_JUDGE] = (void *)&host_judge,
		[CALL_TO_NODE] = (void *)&to_node,
		[CALL_OF_NODE] = (void *)&of_node,
		[CALL_NODE_TUNNEL] = (void *)&of_node_tunnel,
		[CALL_PROXY_ANSWER] = (void *)&host_proxy_answer,
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
