/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that is constant for the life of a loaded object, in one struct in .rodata, written before loading: the
 * verifier removes what a setting turns off. A change means loading again and replacing the program in its link. */
#pragma once
#include "types.h"

struct config {
	struct address node_ipv4;    /* the node's own address on the wire; zero: family off */
	struct address node_ipv6;
	struct address gateway_ipv4; /* what pods use as gateway (CiliumInternalIP) */
	struct address gateway_ipv6;
	struct address native_ipv4;  /* destinations that are not masqueraded */
	struct address native_ipv6;
	__u32 native_ipv4_bits;	     /* of the 128: IPv4 has 96 added; 0: no such prefix */
	__u32 native_ipv6_bits;
	__u32 wire;		     /* interface of the direct-routing device */
	__u32 net;		     /* where from_net is attached: the node's own way to the proxy; 0: there is none */
	__u32 tunnel;		     /* 0 native routing, 1 VXLAN written by the program */
	__u16 tunnel_port;	     /* host order */
	__u16 tunnel_mtu;	     /* largest inner IP packet */
	__u16 wire_mtu;
	__u16 nat_port_first;	     /* masquerade's ports, host order, inclusive */
	__u16 nat_port_last;
	__u8 masquerade_ipv4;
	__u8 masquerade_ipv6;
	__u8 dual_world;	     /* world splits into world-ipv4 and world-ipv6 */
	__u8 tcp_peer_names;	     /* getpeername shows the service address for TCP too (700 ns per connect) */
	__u8 gateway_mac[6];	     /* given to pods in answers for the gateway; the MAC of every host veth */
	__u8 pod_mac[6];
	__u32 tcp_timeout;	     /* seconds */
	__u32 syn_timeout;
	__u32 any_timeout;
	__u32 drop_events_per_second; /* per rule and CPU; 0: every drop is reported */
	__u32 hz;		      /* jiffies per second of the running kernel; 0: 250 */
	__u8 socket_events;	      /* report each translation of a socket */
	__u8 host_firewall;	      /* policy holds for the node's own addresses too */
	__u8 pad[2];
	__u64 namespace;	      /* cookie of the node's network namespace: there the loopback has services too */
};
