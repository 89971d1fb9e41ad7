/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Service addresses, packet by packet, for what the socket programs did not translate. The choice is kept in a flow entry
 * of its own (client, service); the flow (client, backend) holds the verdict and how to name the answer. */
#pragma once
#include "balance.h"
#include "rewrite.h"

static __always_inline const struct service *find_service(const struct address *address, __be16 port, __u8 protocol)
{
	struct service_key key = {.address = *address, .port = port, .protocol = protocol};
	return bpf_map_lookup_elem(&cilium_services, &key);
}

/* The same as the wire may ask for it. */
static __always_inline const struct service *find_external(const struct address *address, __be16 port, __u8 protocol)
{
	struct service_key key = {.address = *address, .port = port, .protocol = protocol};
	const struct service *service = bpf_map_lookup_elem(&cilium_services, &key);

	if (!service || !(service->flags & SERVICE_EXTERNAL))
		return 0;
	if (!(service->flags & SERVICE_TWO_SCOPES))
		return service;
	key.scope = 1;
	return bpf_map_lookup_elem(&cilium_services, &key);
}

/* May this address of the wire ask for it? */
static __always_inline bool may_ask(const struct service *service, const struct address *source)
{
	struct source_range_key key = {.bits = 32 + 128, .service = service->id, .address = *source};

	return !(service->flags & SERVICE_RANGES) || bpf_map_lookup_elem(&cilium_source_ranges, &key);
}

/* A pod that is its own backend would not answer itself: it hears from these instead (link-local, and the discard prefix
 * of RFC 6666: addresses nobody else has). */
static __always_inline void hairpin_alias(struct address *a, bool v6)
{
	a->word[0] = v6 ? bpf_htonl(0x01000000) : 0;
	a->word[1] = 0;
	a->word[2] = v6 ? 0 : V4_MAPPED;
	a->word[3] = bpf_htonl(0xa9fe2a01); /* 169.254.42.1 */
}

/* No policy comes between a pod and itself. */
static __always_inline int to_itself(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	struct flow *f = &p->fresh;
	struct address alias, own = p->source, service = p->destination;
	struct flow_key key;
	__be16 service_port = p->destination_port;
	__u32 side;

	hairpin_alias(&alias, p->flags & PACKET_V6);
	side = sort_key(&key, &alias, p->source_port, &own, p->hop.service_port, p->protocol, true);
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &key);
	if (flow && flow->flags & FLOW_HAIRPIN) {
		flow->epoch = current_epoch();
		flow->seen = coarse_clock();
	} else {
		__builtin_memset(f, 0, sizeof(*f));
		f->epoch = current_epoch();
		f->seen = f->created = coarse_clock();
		f->flags = FLOW_HAIRPIN;
		f->origin = side;
		f->entry[(side & 1) ^ 1] = skb->ifindex;
		f->out[(side & 1) ^ 1] = skb->ifindex;
		f->action[(side & 1) ^ 1] = ACTION_SERVICE_REPLY;
		f->identity[0] = f->identity[1] = p->end[0].identity;
		f->endpoint[0] = f->endpoint[1] = p->end[0].endpoint;
		f->service = service;
		f->service_port = service_port;
		if (bpf_map_update_elem(&cilium_flows, &key, f, BPF_ANY))
			return drop(skb, p, DROP_CT_INSERT_FAILED);
	}
	if (!rewrite(skb, p, DESTINATION, &own, p->hop.service_port) ||
	    !rewrite(skb, p, SOURCE, &alias, p->source_port))
		return drop(skb, p, DROP_WRITE_ERROR);
	count_forwarded(ACTION_PEER, direction, skb->len);
	return into_pod(skb, skb->ifindex);
}

/* The destination becomes the backend; whether it may go there is judged next. */
static __always_inline int to_backend(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	if (direction == DIRECTION_EGRESS && equal(&p->hop.service, &p->source))
		return to_itself(skb, p, direction);
	if (p->flags & PACKET_RELATED && !rewrite_quoted(skb, p, SOURCE, &p->hop.service, p->hop.service_port))
		return drop(skb, p, DROP_WRITE_ERROR);
	p->translated = 1;
	p->service_address = p->destination;
	p->service_port = p->destination_port;
	if (!rewrite(skb, p, DESTINATION, &p->hop.service, p->hop.service_port))
		return drop(skb, p, DROP_WRITE_ERROR);
	call(skb, CALL_JUDGE);
	return TC_ACT_SHOT;
}

/* The answer comes from the address that was asked. */
static __always_inline int from_backend(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	if (p->flags & PACKET_RELATED) {
		bool by_backend = equal(&p->source, &p->quoted.destination);
		if (!rewrite_quoted(skb, p, DESTINATION, &p->hop.service, p->hop.service_port) ||
		    (by_backend && !rewrite(skb, p, SOURCE, &p->hop.service, 0)))
			return drop(skb, p, DROP_WRITE_ERROR);
	} else {
		struct address alias;
		hairpin_alias(&alias, p->flags & PACKET_V6);
		if ((equal(&p->destination, &alias) &&
		     !rewrite(skb, p, DESTINATION, &p->source, p->destination_port)) ||
		    !rewrite(skb, p, SOURCE, &p->hop.service, p->hop.service_port))
			return drop(skb, p, DROP_WRITE_ERROR);
	}
	if (p->entry & (ENTRY_TO_POD | ENTRY_TO_WIRE)) { /* the kernel is bringing it already */
		count_forwarded(ACTION_STACK, direction, skb->len);
		return TC_ACT_OK;
	}
	if (p->hop.action == ACTION_EXTERNAL_REPLY) {
		count_forwarded(ACTION_NEIGHBOUR, direction, skb->len);
		return by_route(skb, p->hop.out);
	}
	count_forwarded(ACTION_PEER, direction, skb->len);
	return into_pod(skb, p->hop.out);
}
