/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of the packet at hand. It lives in a per-CPU slot, so tail calls carry it on; the fast path uses none. */
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "../contract/codes.h"
#include "../contract/config.h"
#include "../contract/maps.h"
#include "address.h"

const volatile struct config config;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* A function the verifier looks at once, by itself, and not at each call. Pointers may be null as far as it knows. */
#define global __attribute__((noinline))
/* The compiler may not reason about it: it would combine pointers in ways the verifier forbids. */
#define opaque(x) asm volatile("" : "+r"(x))

/* From <netinet/icmp6.h> and <linux/tcp.h>, which do not compile for this target without the C library. */
#define PROTOCOL_ICMPV6 58
#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

enum packet_flags {
	PACKET_V6 = 1,
	PACKET_ECHO_REQUEST = 2,
	PACKET_RELATED = 4,	   /* ICMP error: the tuple is the flow's it tells of, turned round */
	PACKET_FRAGMENT = 8,
	PACKET_LATER_FRAGMENT = 16, /* has no transport header */
	PACKET_TRANSLATED = 32,
	PACKET_REJUDGED = 128,
	PACKET_NEIGHBOUR = 64	   /* IPv6 neighbour or router discovery, or multicast listener report */
};

/* Where a packet goes, taken from its flow. */
struct hop {
	__u32 action;
	__u32 out;
	__u32 identity; /* of the sender, for the tunnel */
	__be16 nat_port;
	__be16 service_port;
	__u16 proxy_port;
	__u16 upstream; /* the proxy's socket to the server is meant, not the one to the client */
	struct address next_hop;
	struct address tunnel;
	struct address service;
};

struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 protocol;
};

struct packet {
	struct flow_key key;
	__u32 side; /* the sender's in the key */
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 tcp_flags;
	__u16 icmp; /* type << 8 | code */
	__u32 flags;
	__u32 entry;
	__u32 length; /* of the IP packet */
	__u32 l4;     /* offset of the transport header */
	__u32 inner;  /* PACKET_RELATED: offset of the quoted IP header */
	__u32 inner_l4;
	struct tuple quoted; /* of the quoted packet, as it was sent */
	struct owner end[2]; /* sender, receiver */
	__u32 rule[2];	     /* by enum direction */
	__u32 redirect[2];   /* by enum direction: listener's port, 0: no rules beyond ports */
	__u32 direction;     /* of the side that decided */
	__u32 audit;
	__u32 staged[2]; /* by enum direction: rule by which staged policies would decide otherwise, 0: they would not */
	__u32 tunnel_identity; /* 0: did not come by tunnel */
	struct address tunnel_source;
	struct hop hop;
	struct flow fresh; /* being built */
	__u32 answer; /* enum answer, its MTU */
	__u32 mtu;
	__u32 translated; /* destination was this service */
	struct address service_address;
	__be16 service_port;
	__u16 pad;
};

/* Pinned, because while programs are exchanged an old one may already call a new one, and both must mean the same slot.
 * A pinned map cannot change its size: another layout is another map. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cilium_slot_4 SEC(".maps");
_Static_assert(sizeof(struct packet) == 520, "the layout changed: count the name of the map up");

static __always_inline struct packet *packet_slot(void)
{
	return bpf_map_lookup_elem(&cilium_slot_4, &(__u32){0});
}
