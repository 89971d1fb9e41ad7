/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is behind an address: endpoints and nodes by exact look-up, then prefixes, else the world. */
#pragma once
#include "packet.h"

static __always_inline __u32 world(bool v6)
{
	return !config.dual_world ? IDENTITY_WORLD : v6 ? IDENTITY_WORLD_IPV6 : IDENTITY_WORLD_IPV4;
}

global int find_owner(struct packet *p, __u32 which)
{
	if (!p)
		return 0;
	struct owner *end = &p->end[which & 1];
	const struct address *address = which & 1 ? &p->destination : &p->source;
	struct prefix_key key = {.bits = 128, .address = *address};
	const struct owner *owner = bpf_map_lookup_elem(&cilium_owners, &key.address);

	if (!owner)
		owner = bpf_map_lookup_elem(&cilium_ipcache, &key);
	if (owner) {
		*end = *owner;
	} else {
		__builtin_memset(end, 0, sizeof(*end));
	}
	if (!end->identity)
		end->identity = world(p->flags & PACKET_V6);
	return 0;
}

/* Is that end this node itself? Its link-local addresses are in no table, and are its own all the same. */
static __always_inline bool find_node(struct packet *p, __u32 which)
{
	const struct address *a = which ? &p->destination : &p->source;
	struct address own;

	find_owner(p, which);
	if (p->end[which & 1].flags & OWNER_HOST)
		return true;
	if (!(p->flags & PACKET_V6) || !is_link_local(a))
		return false;
	copy_const(&own, &config.node_ipv6);
	const struct owner *owner = bpf_map_lookup_elem(&cilium_owners, &own);
	if (!owner || !(owner->flags & OWNER_HOST))
		return false;
	p->end[which & 1] = *owner;
	return true;
}
