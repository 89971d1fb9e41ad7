/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* May it: constant-time look-up in the decision tables that user space compiled. No table, no passage. */
#pragma once
#include "packet.h"

static __always_inline int port_space(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return PORTS_TCP;
	case IPPROTO_UDP:
		return PORTS_UDP;
	case IPPROTO_SCTP:
		return PORTS_SCTP;
	case IPPROTO_ICMP:
		return PORTS_ICMP;
	case PROTOCOL_ICMPV6:
		return PORTS_ICMPV6;
	default:
		return -1;
	}
}

/* Class of a peer in a decision table. Arrays, because a hash costs 25 ns, and more where its buckets are not in the cache. */
static __always_inline __u32 class_of(__u32 table, __u32 identity)
{
	if (identity < CLASS_IDENTITIES) {
		const struct class_index *index = bpf_map_lookup_elem(&cilium_class_index, &table);
		__u32 place = identity >> 8;
		opaque(place); /* or the mask goes, which Linux 6.1 wants to see */
		__u32 number = index ? index->page[place & 0xff] : 0;
		const struct class_page *page = bpf_map_lookup_elem(&cilium_class_pages, &number);
		return page ? page->class[identity & 0xff] : 0;
	}
	struct class_key key = {.table = table, .identity = identity};
	const __u32 *class = bpf_map_lookup_elem(&cilium_policy_classes, &key);
	return class ? *class : 0;
}

/* Looks one side up. Returns 0 or a drop code; leaves the deciding rule in p->rule[direction]. `port` in host order. */
global int decide(struct packet *p, __u32 policy_id, __u32 direction, __u32 identity, __u32 port)
{
	if (!p)
		return DROP_ENDPOINT_NOT_READY;
	__u32 column, index;

	p->rule[direction & 1] = 0;
	p->staged[direction & 1] = 0;
	p->redirect[direction & 1] = 0;
	const struct policy *policy = policy_id ? bpf_map_lookup_elem(&cilium_policies, &policy_id) : 0;
	if (!policy)
		return DROP_ENDPOINT_NOT_READY;
	__u32 number = direction == DIRECTION_EGRESS ? policy->egress : policy->ingress;
	const struct policy_table *table = number ? bpf_map_lookup_elem(&cilium_policy_tables, &number) : 0;
	if (!table || !table->columns) /* never written */
		return DROP_ENDPOINT_NOT_READY;

	int space = port_space(p->protocol);
	if (space < 0) {
		column = table->other;
	} else {
		__u32 page_id = table->page[space][port >> 8 & 0xff];
		const struct policy_page *page = bpf_map_lookup_elem(&cilium_policy_pages, &page_id);
		if (!page)
			return DROP_ENDPOINT_NOT_READY;
		column = page->column[port & 0xff];
	}

	index = table->cells + class_of(number, identity) * table->columns + column;
	const struct policy_cell *cell = bpf_map_lookup_elem(&cilium_policy_cells, &index);
	if (!cell)
		return DROP_ENDPOINT_NOT_READY;

	p->rule[direction & 1] = cell->rule;
	p->staged[direction & 1] = cell->shadow_rule;
	switch (cell->verdict) {
	case VERDICT_AUDIT:
		p->audit = 1;
		return 0;
	case VERDICT_ALLOW:
		return 0;
	case VERDICT_DENY:
		return DROP_POLICY_DENY;
	case VERDICT_REDIRECT: /* no listener: better closed than unchecked */
		p->redirect[direction & 1] = cell->proxy_port;
		return cell->proxy_port ? 0 : DROP_PROXY_UNSUPPORTED;
	default:
		return DROP_POLICY_DENIED;
	}
}

/* Where the host firewall is on, the node's own addresses have a policy too. */
static __always_inline bool is_guarded(const struct owner *of)
{
	return config.host_firewall && of->flags & OWNER_HOST && of->policy;
}

/* Both ends of a connection opened by p->end[opener] to `port`. Both are looked up, so that the event names both rules. */
global int judge_policy(struct packet *p, __u32 opener, __u32 port)
{
	if (!p)
		return DROP_ENDPOINT_NOT_READY;
	const struct owner *from = &p->end[opener & 1], *to = &p->end[(opener & 1) ^ 1];
	__u32 source = from->peer ?: from->identity, destination = to->peer ?: to->identity;
	int egress = 0, ingress = 0;

	p->audit = 0;
	p->rule[DIRECTION_EGRESS] = p->rule[DIRECTION_INGRESS] = 0;
	p->staged[DIRECTION_EGRESS] = p->staged[DIRECTION_INGRESS] = 0;
	p->redirect[DIRECTION_EGRESS] = p->redirect[DIRECTION_INGRESS] = 0;
	bool leaves = from->flags & OWNER_LOCAL || is_guarded(from);
	bool enters = to->flags & OWNER_LOCAL || is_guarded(to);
	if (leaves)
		egress = decide(p, from->policy, DIRECTION_EGRESS, destination, port);
	if (enters)
		ingress = decide(p, to->policy, DIRECTION_INGRESS, source, port);
	p->direction = egress || !enters ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	return egress ?: ingress;
}
