/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What asks for a service address: its flow entry says which backend answers. */
#pragma once
#include "deliver.h"
#include "sender.h"
#include "service.h"

/* A packet to a service address: remembers which backend answers for it. -1: it is none. */
static __always_inline int pass_to_service(struct __sk_buff *skb, struct packet *p, struct flow *flow, __u32 now,
					   const enum way way)
{
	const __u32 direction = way == WAY_FROM_WIRE ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	struct flow *f = &p->fresh;
	__u32 side = p->side & 1;
	int error;

	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return -1;
	if (flow && !(flow->flags & FLOW_SERVICE)) { /* from when this was no service's address */
		if (!opens(p->protocol, p->tcp_flags))
			return -1;
		flow = 0;
	}
	const struct service *service = way == WAY_FROM_WIRE
						? find_external(&p->destination, p->destination_port, p->protocol)
						: find_service(&p->destination, p->destination_port, p->protocol);
	opaque(service);
	if (!service) {
		if (!flow)
			return -1;
		opaque(flow);
	}
	error = check_sender(skb, p, way);
	if (error)
		return drop(skb, p, error);
	if (way == WAY_FROM_WIRE && service && !may_ask(service, &p->source))
		return drop(skb, p, DROP_NOT_IN_SOURCE_RANGE);
	/* The backend stays, also for a repeated SYN; but what begins, or is a datagram, goes to none that has gone. */
	bool stays = flow && flow->entry[side] == p->entry && !expired(flow, p->protocol, now);
	if (stays && service && (p->protocol == IPPROTO_UDP || opens(p->protocol, p->tcp_flags)))
		stays = find_backend(service, &flow->service, flow->service_port);
	if (flow && stays) {
		*f = *flow;
	} else {
		const struct backend *backend = service ? choose_backend(service, &p->source) : 0;
		if (!backend)
			return drop(skb, p, DROP_NO_BACKEND);
		__builtin_memset(f, 0, sizeof(*f));
		f->created = now;
		f->flags = FLOW_SERVICE;
		f->origin = side;
		f->entry[side] = p->entry;
		f->action[side] = ACTION_SERVICE;
		f->service = backend->address;
		f->service_port = backend->port;
	}
	f->epoch = current_epoch();
	f->seen = now;
	count(f, side, p->tcp_flags & ~TCP_FIN, skb->len);
	load_hop(&p->hop, f, side);
	if (p->tcp_flags & TCP_RST)
		bpf_map_delete_elem(&cilium_flows, &p->key);
	else if (bpf_map_update_elem(&cilium_flows, &p->key, f, BPF_ANY))
		return drop(skb, p, DROP_CT_INSERT_FAILED);
	return act(skb, p, direction);
}
