/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether the proxy is asked, and which of its listeners. */
#pragma once
#include "conntrack.h"
#include "sender.h"

/* Carries nothing but the end of its connection. */
static __always_inline bool only_ends(struct __sk_buff *skb, const struct packet *p)
{
	__u8 words;

	if (p->tcp_flags & TCP_RST)
		return true;
	return p->tcp_flags & TCP_FIN && !bpf_skb_load_bytes(skb, p->l4 + 12, &words, 1) &&
	       skb->len <= p->l4 + (words >> 4) * 4;
}

/*
 * Which socket of the proxy the packet is for, into p->hop: proxy_port 0: none. Rules of both ends that are asked on this
 * node are asked by one listener. Returns 0 or a drop code.
 */
static __always_inline int find_listener(struct __sk_buff *skb, struct packet *p, const struct flow *known, __u32 opener,
					 const enum way way)
{
	struct proxy_pair pair = {.egress = p->redirect[DIRECTION_EGRESS], .ingress = p->redirect[DIRECTION_INGRESS]};
	__u32 role = way == WAY_TO_POD || way == WAY_FROM_PROXY ? skb->mark & PROXY_ROLE : 0;
	__u32 by = skb->mark >> 16;
	struct hop *hop = &p->hop;

	hop->proxy_port = 0;
	hop->upstream = opener || is_upstream(role);
	if (is_upstream(role)) { /* the proxy's own: were the rules of today asked? Ends of connections are told anyhow. */
		hop->proxy_port = by;
		if (p->protocol == IPPROTO_TCP && known && only_ends(skb, p))
			return 0;
		if (pair.ingress && (role == PROXY_UPSTREAM_EGRESS || by != pair.ingress))
			return DROP_PROXY_UNSUPPORTED;
		if (way == WAY_FROM_PROXY && pair.egress && by != pair.egress)
			return DROP_PROXY_UNSUPPORTED;
		return 0;
	}
	if (!opener && pair.egress && pair.ingress) {
		const __u32 *both = bpf_map_lookup_elem(&cilium_proxy_pairs, &pair);
		if (!both)
			return DROP_PROXY_UNSUPPORTED;
		hop->proxy_port = *both;
	} else {
		hop->proxy_port = pair.ingress ?: pair.egress;
	}
	/* What the proxy has stays there when rules are no longer asked, or other ones: a connection, and a datagram's answer. */
	if (known && known->proxy_port &&
	    (p->protocol == IPPROTO_TCP ? !hop->proxy_port && !opens(p->protocol, p->tcp_flags)
					: opener && known->flags & FLOW_UPSTREAM)) {
		hop->proxy_port = known->proxy_port;
		hop->upstream = !!(known->flags & FLOW_UPSTREAM);
	}
	return 0;
}
