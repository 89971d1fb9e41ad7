/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 128-bit addresses for both families, and the sorted key of a flow. */
#pragma once
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "../contract/types.h"

#define V4_MAPPED bpf_htonl(0x0000ffff)

static __always_inline bool is_mapped(const struct address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == V4_MAPPED;
}

static __always_inline bool is_zero(const struct address *a)
{
	return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

static __always_inline bool equal(const struct address *a, const struct address *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
		 (a->word[3] ^ b->word[3]));
}

static __always_inline bool equal_const(const struct address *a, const volatile struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline void copy_const(struct address *to, const volatile struct address *from)
{
	to->word[0] = from->word[0];
	to->word[1] = from->word[1];
	to->word[2] = from->word[2];
	to->word[3] = from->word[3];
}

static __always_inline void map_v4(struct address *a, __be32 v4)
{
	a->word[0] = 0;
	a->word[1] = 0;
	a->word[2] = V4_MAPPED;
	a->word[3] = v4;
}

/* Is `a` within the first `bits` of `prefix`? bits > 0. */
static __always_inline bool within(const struct address *a, const volatile struct address *prefix, __u32 bits)
{
	for (int i = 0; i < 4; i++) {
		__u32 differ = bpf_ntohl(a->word[i] ^ prefix->word[i]);
		if (bits >= 32) {
			if (differ)
				return false;
			bits -= 32;
		} else {
			return !bits || !(differ >> (32 - bits));
		}
	}
	return true;
}

static __always_inline bool is_multicast(const struct address *a, bool v6)
{
	__u32 v4 = bpf_ntohl(a->word[3]);
	return v6 ? (bpf_ntohl(a->word[0]) >> 24) == 0xff : v4 >> 28 == 0xe || v4 == 0xffffffff;
}

static __always_inline bool is_loopback(const struct address *a)
{
	return is_mapped(a) ? bpf_ntohl(a->word[3]) >> 24 == 127
			    : !(a->word[0] | a->word[1] | a->word[2]) && a->word[3] == bpf_htonl(1);
}

static __always_inline bool is_link_local(const struct address *a)
{
	return bpf_ntohl(a->word[0]) >> 22 == 0xfe80 >> 6;
}

/* By bytes: address, then port. */
static __always_inline bool greater(const struct address *a, __be16 port_a, const struct address *b, __be16 port_b,
				    const bool v6)
{
	if (v6) {
		for (int i = 0; i < 3; i++)
			if (a->word[i] != b->word[i])
				return bpf_ntohl(a->word[i]) > bpf_ntohl(b->word[i]);
	}
	if (a->word[3] != b->word[3])
		return bpf_ntohl(a->word[3]) > bpf_ntohl(b->word[3]);
	return bpf_ntohs(port_a) > bpf_ntohs(port_b);
}

/* Fills `key`; returns the sender's side in it. */
static __always_inline int sort_key(struct flow_key *key, const struct address *source, __be16 source_port,
				    const struct address *destination, __be16 destination_port, __u8 protocol,
				    const bool v6)
{
	int side = greater(source, source_port, destination, destination_port, v6);
	key->a = side ? *destination : *source;
	key->b = side ? *source : *destination;
	key->port_a = side ? destination_port : source_port;
	key->port_b = side ? source_port : destination_port;
	key->protocol = protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
	return side;
}
