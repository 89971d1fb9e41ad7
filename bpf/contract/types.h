/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every struct that kernel and user space share. Layouts of TypeScript are generated from the BTF of these; sizes are
 * multiples of four and padding is named, so that keys compare by their bytes. */
#pragma once
#include <linux/types.h>

/* 128 bits for both families: IPv4 is ::ffff:a.b.c.d (RFC 4291 2.5.5.2), network byte order. */
struct address {
	__be32 word[4];
};

/* --- who: addresses and interfaces ------------------------------------------------------------------------------- */

struct prefix_key { /* LPM; IPv4 prefixes have 96 added */
	__u32 bits;
	struct address address;
};

enum owner_flags {
	OWNER_LOCAL = 1,  /* an endpoint of this node: interface, policy and endpoint are set */
	OWNER_HOST = 2,   /* an address of this node itself */
	OWNER_NODE = 4,   /* an address of another node */
	OWNER_GATEWAY = 8 /* the address pods use as gateway: echo and ARP/ND are answered here */
};

/* Who an address belongs to. Exact addresses (endpoints, nodes) and prefixes (CIDR identities, the rest) share it. */
struct owner {
	__u32 identity;
	__u32 interface; /* host side of the pod's veth, 0 if not local */
	__u32 policy;	 /* index in cilium_policies, 0: none, nothing passes */
	__u16 endpoint;
	__u16 flags;
	struct address node; /* node behind which it is reached by tunnel; zero: routed */
};

/* What a packet entering from an interface may claim to be. */
struct interface {
	struct address ipv4;
	struct address ipv6;
	__u32 identity;
	__u32 policy;
	__u16 endpoint;
	__u16 flags;
	__u8 mac[6]; /* of the pod's side */
	__u16 pad;
};

/* --- may it: decision tables ------------------------------------------------------------------------------------- */

enum verdict {
	VERDICT_NONE = 0, /* nothing allows it; `rule` is the default deny that names the policies which selected */
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2, /* a rule denies it */
	VERDICT_REDIRECT = 3,
	VERDICT_AUDIT = 4 /* would be denied, passes and says so */
};

enum direction { DIRECTION_INGRESS = 0, DIRECTION_EGRESS = 1 };

/* An endpoint's policy: two table numbers in one naturally aligned word, so that a swap is one store. 0: fail closed. */
struct policy {
	__u32 ingress;
	__u32 egress;
};

enum port_space {
	PORTS_TCP = 0,
	PORTS_UDP = 1,
	PORTS_SCTP = 2,
	PORTS_ICMP = 3,	  /* 'port' is type << 8 | code */
	PORTS_ICMPV6 = 4, /* the same */
	PORTS_SPACES = 5
};

/* One decision table. A cell is cells + class * columns + column; the column comes from the destination port by two
 * array look-ups: page[space][port >> 8] is a page of 256 columns, shared between tables that have the same. */
struct policy_table {
	__u32 cells;	/* index of the first cell */
	__u16 columns;	/* cells per class */
	__u16 other;	/* column of protocols without ports */
	__u16 page[PORTS_SPACES][256];
};

struct policy_page {
	__u16 column[256];
};

/* (table, identity) -> class; absent: class 0, the peers no rule names. */
struct class_key {
	__u32 table;
	__u32 identity;
};

struct policy_cell {
	__u32 rule;	   /* number of the deciding rule, index of cilium_rule_counters */
	__u32 shadow_rule; /* what staged policies would decide; 0: the same */
	__u8 verdict;
	__u8 shadow_verdict;
	__u16 proxy_port; /* VERDICT_REDIRECT */
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* --- the flow entry, which is the verdict ------------------------------------------------------------------------ */

/* Sorted: (a, port_a) <= (b, port_b) by bytes, so both directions find one entry. ICMP echo: both ports are the id. */
struct flow_key {
	struct address a;
	struct address b;
	__be16 port_a;
	__be16 port_b;
	__u8 protocol;
	__u8 pad[3];
};

/* --- services ---------------------------------------------------------------------------------------------------- */

struct service_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 scope; /* 0 from anywhere, 1 from inside only */
};

struct service {
	__u32 slots; /* first index in cilium_backend_slots */
	__u16 count; /* 0: no backend, refused */
	__u16 flags;
	__u32 id; /* reverse NAT id, as `bpf lb list` prints it */
};

struct backend {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 state;
};

/* A socket that was translated: what it asked for, to show in recvmsg and getpeername. */
struct reverse_socket_key {
	__u64 cookie;
	struct address address;
	__be16 port;
	__u16 pad;
	__u32 pad2;
};

struct reverse_socket {
	struct address address;
	__be16 port;
	__u16 pad;
	__u32 service;
};

/* --- what happened ----------------------------------------------------------------------------------------------- */

enum event_kind { EVENT_DROP = 1, EVENT_NEW = 2, EVENT_CLOSE = 3, EVENT_SOCKET = 4 };

enum event_flags {
	EVENT_IPV6 = 1,
	EVENT_REPLY = 2,
	EVENT_AUDIT = 4,
	EVENT_TUNNEL = 8
};

/* One record of the ring buffer. Addresses and ports as the packet had them on arrival. */
struct event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u8 kind;
	__u8 reason;	/* EVENT_DROP: drop code of codes.h; else observation point */
	__u8 direction; /* enum direction of the deciding side */
	__u8 flags;
	__u8 protocol;
	__u8 tcp_flags;
	__be16 source_port; /* ICMP: type << 8 | code, host order in both */
	__be16 destination_port;
	__u16 source_endpoint;
	__u16 destination_endpoint;
	__u16 length_high;
	__u32 length;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 egress_rule;  /* deciding rules, 0: no policy on that side */
	__u32 ingress_rule;
	__u32 interface;
	struct address source;
	struct address destination;
	__u64 packets[2]; /* EVENT_CLOSE: counters of the flow, by direction */
	__u64 bytes[2];
};
