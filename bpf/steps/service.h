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

/* The destination becomes the backend; whether it may go there is judged next. */
static __always_inline int to_backend(struct __sk_buff *skb, struct packet *p)
{
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
	} else if (!rewrite(skb, p, SOURCE, &p->hop.service, p->hop.service_port)) {
		return drop(skb, p, DROP_WRITE_ERROR);
	}
	count_forwarded(ACTION_PEER, direction, skb->len);
	return into_pod(skb, p->hop.out);
}
