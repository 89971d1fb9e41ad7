/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parts of a packet's way that are programs of their own: each has a stack and a verifier's budget to itself. */
#pragma once

enum call {
	CALL_JUDGE,
	CALL_TUNNEL,
	CALL_MASQUERADE,
	CALL_SERVICE,
	CALL_SERVICE_REPLY,
	CALL_ANSWER,
	CALL_NEIGHBOUR,
	CALL_DECAPSULATE,
	CALL_UNMASQUERADE,
	CALL_PROXY,
	CALL_PROXY_JUDGE,
	CALL_TO_NODE,
	CALL_OF_NODE,
	CALL_NODE_TUNNEL,
	CALL_PROXY_ANSWER,
	CALLS
};

/* Each object defines CALL_TABLE, its own table. */
#define call(skb, index) bpf_tail_call_static(skb, &CALL_TABLE, index)

/* A program of such a table that is one step: what the step does with the packet as the program before has left it. */
#define STEP(name, step)                               \
	SEC("tc")                                      \
	int name(struct __sk_buff *skb)                \
	{                                              \
		struct packet *p = packet_slot();      \
		return p ? step : TC_ACT_SHOT;         \
	}
