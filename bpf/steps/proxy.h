/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To the proxy: a packet is given to the proxy's socket for its connection, or a new connection to the listener that
 * carries its rules. Which rules a socket stands for is in its mark (enum proxy_mark), which no pod can write: a packet
 * crosses into this namespace with mark 0. */
#pragma once
#include "judge.h"

static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb, const struct packet *p, __u32 listener)
{
	struct bpf_sock_tuple tuple = {};

	/* A listener is bound to the loopback, where no other machine reaches it. The source stays: it spreads
	 * connections over the proxy's threads. */
	if (p->flags & PACKET_V6) {
		__builtin_memcpy(tuple.ipv6.saddr, &p->source, 16);
		tuple.ipv6.sport = p->source_port;
		if (listener) {
			tuple.ipv6.daddr[3] = bpf_htonl(1);
			tuple.ipv6.dport = bpf_htons(listener);
		} else {
			__builtin_memcpy(tuple.ipv6.daddr, &p->destination, 16);
			tuple.ipv6.dport = p->destination_port;
		}
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	tuple.ipv4.saddr = p->source.word[3];
	tuple.ipv4.sport = p->source_port;
	if (listener) {
		tuple.ipv4.daddr = bpf_htonl(0x7f000001);
		tuple.ipv4.dport = bpf_htons(listener);
	} else {
		tuple.ipv4.daddr = p->destination.word[3];
		tuple.ipv4.dport = p->destination_port;
	}
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
}

/* Is it the socket that was meant? Sockets that are not whole, because they are opening or wait out their time, carry
 * nothing and have no mark to look at. */
static __always_inline bool stands_for(struct bpf_sock *sk, const struct hop *hop)
{
	struct bpf_sock *full = bpf_sk_fullsock(sk);
	__u32 role;

	if (!full)
		return true;
	role = full->mark & PROXY_ROLE;
	if (full->mark >> 16 != hop->proxy_port)
		return false;
	return hop->upstream ? is_upstream(role) : is_downstream(role);
}

/* A socket of the connection itself is found again by the kernel, which then remembers the route too: to assign it
 * here would cost a search of the routes for each packet. */
static __always_inline int to_proxy(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	struct bpf_sock *sk;
	bool listener = false;
	long failed = 0;

	if (p->protocol != IPPROTO_TCP || p->flags & PACKET_FRAGMENT)
		return drop(skb, p, DROP_PROXY_UNSUPPORTED);
	sk = find_socket(skb, p, 0);
	if (sk && sk->state == BPF_TCP_LISTEN) {
		bpf_sk_release(sk);
		sk = 0;
	}
	if (!sk) {
		if (p->hop.upstream || !opens(p->protocol, p->tcp_flags))
			return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
		sk = find_socket(skb, p, p->hop.proxy_port);
		if (!sk)
			return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
		if (sk->state != BPF_TCP_LISTEN) {
			bpf_sk_release(sk);
			return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
		}
		listener = true;
	}
	if (!stands_for(sk, &p->hop)) {
		bpf_sk_release(sk);
		return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
	}
	if (listener)
		failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return drop(skb, p, DROP_SOCKET_ASSIGN_FAILED);
	count_forwarded(ACTION_PROXY, direction, skb->len);
	skb->mark = PROXY_TO_SOCKET; /* a rule of the node routes it to itself */
	return TC_ACT_OK;
}
