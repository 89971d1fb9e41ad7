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
	__u32 policy;	 /* index in cilium_policies; 0: none, and nothing passes, but to and from the node itself all does */
	__u16 endpoint;
	__u16 flags;
	struct address node; /* node behind which it is reached by tunnel; zero: routed */
	__u32 peer; /* what decision tables know it by, where a prefix of a policy tells it from its like; 0: identity */
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

/* Peers are in classes; class 0: those that no rule names. Of identities below CLASS_IDENTITIES the class
 * comes by two array look-ups: page[identity >> 8] of the table's index is a page of 256 classes, the table's own; page 0
 * is all class 0. Those that only this node knows, and those of a cluster with a number of its own, are far between: a
 * hash has them, absent: class 0. */
#define CLASS_IDENTITIES 65536
struct class_index {
	__u16 page[CLASS_IDENTITIES / 256];
};

struct class_page {
	__u16 class[256];
};

struct class_key {
	__u32 table;
	__u32 identity;
};

struct policy_cell {
	__u16 rule;	   /* number of the deciding rule, index of cilium_rule_counters */
	__u16 shadow_rule; /* what staged policies would decide; 0: the same */
	__u8 verdict;
	__u8 shadow_verdict;
	__u16 proxy_port; /* VERDICT_REDIRECT */
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* --- the proxy --------------------------------------------------------------------------------------------------- */

/* Marks of the proxy's sockets: the role, and above 16 the port of the listener whose rules they stand for. */
enum proxy_mark {
	PROXY_TO_SOCKET = 0x200, /* on packets given to a socket: they are for this node */
	PROXY_UPSTREAM_BOTH = 0x800, /* to the server; rules of both ends were asked, the port is the ingress one */
	PROXY_UPSTREAM_INGRESS = 0xa00,
	PROXY_UPSTREAM_EGRESS = 0xb00,
	PROXY_DOWNSTREAM_INGRESS = 0xc00, /* to the client */
	PROXY_DOWNSTREAM_EGRESS = 0xd00,
	PROXY_ROLE = 0xf00
};

/* On packets that these programs put on the wire: to_wire has nothing to ask of them. */
enum packet_mark { MARK_JUDGED = 0x400 };

/* Listeners that carry the rules of both ends, for connections that both ends redirect on one node. */
struct proxy_pair {
	__u16 egress;
	__u16 ingress;
};

/* --- the flow entry, which is the verdict ------------------------------------------------------------------------ */

/* Sorted: (a, port_a) <= (b, port_b) by bytes, so both directions find one entry. The end a is side 0, b is side 1.
 * ICMP echo: the asking end's port is the identifier, the other's is type << 8 | code of the request, so that a request
 * the other way is another flow. Other ICMP: the sender's port is 0, the receiver's is type << 8 | code. */
struct flow_key {
	struct address a;
	struct address b;
	__be16 port_a;
	__be16 port_b;
	__u8 protocol;
	__u8 pad[3];
};

/* What is done with the packets of one side. */
enum action {
	ACTION_ROUTE = 0, /* not known yet: the slow path finds the way */
	ACTION_PEER = 1,  /* into the pod behind interface `out` */
	ACTION_STACK = 2, /* the kernel delivers */
	ACTION_NEIGHBOUR = 3, /* out of `out` to `next_hop` */
	ACTION_TUNNEL = 4, /* VXLAN to `tunnel`, out of `out` to `next_hop` */
	ACTION_MASQUERADE = 5, /* source becomes the node's address and nat_port, then as NEIGHBOUR, or TUNNEL where one is set */
	ACTION_SERVICE = 6, /* destination becomes `service`, then the flow to there decides */
	ACTION_SERVICE_REPLY = 7, /* source becomes `service`, then as PEER */
	ACTION_ECHO = 8, /* the gateway answers */
	ACTION_PROXY = 9, /* to the proxy's socket, whose mark says `proxy_port` */
	ACTION_EXTERNAL_REPLY = 10 /* source becomes `service`, then out of `out` by the kernel's routes */
};

enum flow_flags {
	FLOW_AUDIT = 1, /* passes although policy would deny it */
	FLOW_SERVICE = 2, /* holds no verdict: a service address and the backend chosen for it */
	FLOW_TUNNELLED = 4, /* the opening packet came by tunnel */
	FLOW_REVERSED = 8, /* the first packet seen was a reply: its entry had been lost */
	FLOW_UPSTREAM = 32, /* opened by the proxy in a client's name; `proxy_port` is the listener it was asked by */
	FLOW_EXTERNAL = 64, /* a client by the wire asked the node for `service` */
	FLOW_HAIRPIN = 16 /* a pod that reached itself through its service; the other end is an alias of the pod */
};

/* Way in of a packet: number of the interface and, so that no two ways are mistaken for each other, one of these. */
enum entry_flags {
	ENTRY_TO_POD = 0x80000000, /* egress of the pod's host veth */
	ENTRY_TUNNEL = 0x40000000,
	ENTRY_NAT = 0x20000000, /* reply to a masqueraded packet */
	ENTRY_TO_WIRE = 0x10000000 /* egress of the node's device: what the node itself sends */
};

struct flow {
	__u32 epoch;	/* judged at */
	__u32 seen;	/* coarse clock: jiffies >> 8 */
	__u32 entry[2]; /* by side: where its packets come in */
	__u32 out[2];	/* by side: interface its packets leave by */
	__u8 action[2]; /* by side: enum action */
	__u8 origin;	/* side that opened */
	__u8 closing;	/* TCP: bit n: FIN of side n */
	__u32 rule[2];	/* by enum direction: deciding rules, 0: no policy on that side */
	__u32 flags;
	__u64 packets[2]; /* by side */
	__u64 bytes[2];
	__u32 identity[2]; /* by side */
	__u16 endpoint[2]; /* by side, 0: none of this node */
	__u32 created;	   /* coarse clock */
	__be16 nat_port;
	__be16 service_port;
	__u16 proxy_port;
	__u16 tcp_flags; /* all seen, side 0 in the low byte, side 1 in the high one */
	struct address next_hop;
	struct address tunnel;
	struct address service;
};

/* Masquerade: (remote end, node's address with the chosen port), sorted like a flow -> the pod's end; and the pod's own
 * flow key -> the node's end. */
struct nat {
	struct address address;
	__be16 port;
	__u16 pad;
	__u32 seen; /* coarse clock */
};

/* Ports of a fragmented datagram, from its first fragment. */
struct fragment_key {
	struct address source;
	struct address destination;
	__u32 id; /* network order; IPv4: 16 bits of it */
	__u8 protocol;
	__u8 pad[3];
};

struct fragment {
	__be16 source_port;
	__be16 destination_port;
};

/* --- services ---------------------------------------------------------------------------------------------------- */

struct service_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 scope; /* 0; 1: as the wire sees it, where that is different */
};

enum service_flags {
	SERVICE_EXTERNAL = 1, /* may be asked for by the wire */
	SERVICE_TWO_SCOPES = 2, /* the wire sees the entry of scope 1 */
	SERVICE_RANGES = 4 /* of the wire only those may ask whom cilium_source_ranges names */
};

struct service {
	__u32 slots; /* first index in cilium_backend_slots */
	__u16 count; /* 0: no backend, refused */
	__u16 flags;
	__u32 id; /* reverse NAT id, as `bpf lb list` prints it */
	__u32 affinity; /* seconds a client keeps its backend after it asked last, 0: each time another */
};

/* LPM: who of the wire may ask a service. */
struct source_range_key {
	__u32 bits; /* with the 32 of the service; IPv4 prefixes have 96 added */
	__u32 service;
	struct address address;
};

/* Which backend a client keeps. The client is an address, or for sockets the cookie of its network namespace. */
struct affinity_key {
	struct address client;
	__u32 service;
};

struct affinity {
	struct address address;
	__be16 port;
	__u16 pad;
	__u32 seen; /* coarse clock */
};

struct backend {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 state;
};

/* A socket that was translated to this backend: what it asked for, to show in recvmsg and getpeername. */
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
	EVENT_TUNNEL = 8, /* came by tunnel */
	EVENT_FRAGMENT = 16,
	EVENT_REJUDGED = 32 /* policy changed under a living flow */
};

/* Drops reported in the current second, by rule (and after the rules by drop code), per CPU. */
#define DROP_LIMIT_RULES 65536
#define DROP_LIMITS (DROP_LIMIT_RULES + 256)
struct drop_limit {
	__u32 window; /* coarse clock */
	__u32 count;
};

/* One record of the ring buffer. Addresses and ports as the packet had them on arrival (after the tunnel).
 * EVENT_SOCKET: source is the service that was asked for, destination the backend. */
struct event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u8 kind;
	__u8 reason;	/* EVENT_DROP: drop code of codes.h; else observation point */
	__u8 direction; /* enum direction of the deciding side */
	__u8 flags;
	__u8 protocol;
	__u8 tcp_flags;
	__u16 source_port;	/* host order; ICMP echo: identifier */
	__u16 destination_port; /* host order; ICMP: type << 8 | code */
	__u16 source_endpoint;	/* 0: none of this node */
	__u16 destination_endpoint;
	__u16 proxy_port;
	__u32 length; /* of the IP packet */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 egress_rule; /* deciding rules, 0: no policy on that side */
	__u32 ingress_rule;
	__u32 egress_staged; /* rules by which staged policies would decide otherwise, 0: they would not */
	__u32 ingress_staged;
	__u32 interface; /* where the packet came in */
	struct address source;
	struct address destination;
	__u64 packets[2]; /* EVENT_CLOSE: of the flow, [0] from who opened it, [1] replies; EVENT_SOCKET: cookie, cgroup */
	__u64 bytes[2];
};

/* What the `clock` program answers: translates the coarse clock of flow entries. */
struct clock {
	__u64 jiffies;
	__u64 time; /* CLOCK_MONOTONIC, ns */
};
