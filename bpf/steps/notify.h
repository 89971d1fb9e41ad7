/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counting and telling. Waking the reader would cost 6 us of the packet's path, so nobody is woken: it polls. */
#pragma once
#include "packet.h"

static __always_inline __u32 coarse_clock(void)
{
	return bpf_jiffies64() >> 8;
}

static __always_inline __u32 coarse(__u32 seconds)
{
	return seconds * (config.hz ?: 250) >> 8;
}

static __always_inline void count_metric(__u32 reason, __u32 direction, __u32 bytes)
{
	__u32 index = reason << 2 | direction;
	struct counter *counter = bpf_map_lookup_elem(&cilium_metrics, &index);
	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

static __always_inline void count_rule(__u32 rule, __u32 bytes)
{
	struct counter *counter = bpf_map_lookup_elem(&cilium_rule_counters, &rule);
	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

static __always_inline bool drop_is_reported(struct packet *p, __u8 reason)
{
	__u32 rule = p->rule[p->direction & 1];
	__u32 index = rule && rule < DROP_LIMIT_RULES ? rule : DROP_LIMIT_RULES + reason;
	if (!config.drop_events_per_second)
		return true;
	struct drop_limit *limit = bpf_map_lookup_elem(&cilium_drop_limits, &index);
	if (!limit)
		return true;
	__u32 now = coarse_clock();
	if (limit->window != now) {
		limit->window = now;
		limit->count = 0;
	}
	if (limit->count++ < config.drop_events_per_second)
		return true;
	count_metric(METRIC_EVENTS_LIMITED, p->direction & 1, 0);
	return false;
}

global int notify(struct __sk_buff *skb, struct packet *p, __u32 kind, __u32 reason, struct flow *flow)
{
	if (!p)
		return 0;
	struct event *e = bpf_ringbuf_reserve(&cilium_events, sizeof(*e), 0);
	if (!e) {
		count_metric(METRIC_EVENTS_LOST, p->direction & 1, 0);
		return 0;
	}
	__u32 origin = flow ? flow->origin & 1 : 0;
	e->time = bpf_ktime_get_ns();
	e->kind = kind;
	e->reason = reason;
	e->direction = p->direction;
	e->flags = (p->flags & PACKET_V6 ? EVENT_IPV6 : 0) | (p->tunnel_identity ? EVENT_TUNNEL : 0) |
		   (p->flags & PACKET_FRAGMENT ? EVENT_FRAGMENT : 0) | (p->audit ? EVENT_AUDIT : 0) |
		   (p->flags & PACKET_REJUDGED ? EVENT_REJUDGED : 0) |
		   (flow && p->side != origin ? EVENT_REPLY : 0);
	e->protocol = p->protocol;
	e->tcp_flags = p->tcp_flags;
	e->source_port = bpf_ntohs(p->source_port);
	e->destination_port = bpf_ntohs(p->destination_port);
	if (p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6) {
		if (kind != EVENT_CLOSE)
			e->destination_port = p->icmp;
	}
	e->source_endpoint = p->end[0].endpoint;
	e->destination_endpoint = p->end[1].endpoint;
	e->proxy_port = flow ? flow->proxy_port : 0;
	e->length = p->length;
	e->source_identity = p->end[0].identity;
	e->destination_identity = p->end[1].identity;
	e->egress_rule = p->rule[DIRECTION_EGRESS];
	e->ingress_rule = p->rule[DIRECTION_INGRESS];
	e->egress_staged = p->staged[DIRECTION_EGRESS];
	e->ingress_staged = p->staged[DIRECTION_INGRESS];
	e->interface = skb->ifindex;
	e->source = p->source;
	e->destination = p->destination;
	if (flow && kind == EVENT_CLOSE) {
		e->packets[0] = flow->packets[origin];
		e->packets[1] = flow->packets[origin ^ 1];
		e->bytes[0] = flow->bytes[origin];
		e->bytes[1] = flow->bytes[origin ^ 1];
	} else {
		e->packets[0] = e->packets[1] = e->bytes[0] = e->bytes[1] = 0;
	}
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

global int drop(struct __sk_buff *skb, struct packet *p, __u32 reason)
{
	if (!p)
		return TC_ACT_SHOT;
	count_metric(reason & 0xff, p->direction & 1, p->length);
	if (drop_is_reported(p, reason))
		notify(skb, p, EVENT_DROP, reason, 0);
	return TC_ACT_SHOT;
}

/* What every pod sends by itself and nobody waits for. */
static __always_inline int drop_quietly(struct packet *p)
{
	count_metric(METRIC_QUIET, p->direction & 1, p->length);
	return TC_ACT_SHOT;
}
