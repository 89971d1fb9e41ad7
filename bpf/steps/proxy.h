/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To the proxy: a packet is given to the proxy's socket for its connection, or a new connection to the listener that
 * carries its rules. Which rules a socket stands for is in its mark (enum proxy_mark), which no pod can write: a packet
 * crosses into this namespace with mark 0. */
#pragma once
#include "judge.h"

static __always_inline struct bpf_sock *look_up(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, const __u32 size,
						const __u8 protocol)
{
	if (protocol == IPPROTO_UDP)
		return bpf_sk_lookup_udp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
}

static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb, const struct packet *p, __u32 listener,
						   const __u8 protocol)
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
		return look_up(skb, &tuple, sizeof(tuple.ipv6), protocol);
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
	return look_up(skb, &tuple, sizeof(tuple.ipv4), protocol);
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

static __always_inline __u32 role_of(struct bpf_sock *sk)
{
	struct bpf_sock *full = bpf_sk_fullsock(sk);

	return full ? full->mark & PROXY_ROLE : 0;
}

/*
 * A socket that has the connection, else the one that listens: for new ones, and for those that nobody has (any longer),
 * which it resets in the server's name. 0: there is none.
 */
static __always_inline struct bpf_sock *find_stream(struct __sk_buff *skb, const struct packet *p, bool *listens)
{
	struct bpf_sock *sk = find_socket(skb, p, 0, IPPROTO_TCP);

	if (sk && sk->state != BPF_TCP_LISTEN)
		return sk;
	if (sk)
		bpf_sk_release(sk);
	if (p->hop.upstream || p->tcp_flags & TCP_RST)
		return 0;
	sk = find_socket(skb, p, p->hop.proxy_port, IPPROTO_TCP);
	if (sk && sk->state != BPF_TCP_LISTEN) {
		bpf_sk_release(sk);
		return 0;
	}
	*listens = true;
	return sk;
}

/* A connection that moved to other rules ends: for the proxy by this packet, which becomes a reset, and with it for the
 * server; for the client by the listener's answer to what it sends again. */
static __always_inline bool make_reset(struct __sk_buff *skb, const struct packet *p)
{
	__be16 old;
	__u8 flags = TCP_RST | TCP_ACK;
	__be16 new;

	if (bpf_skb_load_bytes(skb, p->l4 + 12, &old, sizeof(old)))
		return false;
	new = (old & bpf_htons(0xff00)) | bpf_htons(flags);
	return !bpf_l4_csum_replace(skb, p->l4 + 16, old, new, sizeof(old)) &&
	       !bpf_skb_store_bytes(skb, p->l4 + 13, &flags, 1, 0);
}

/* A rule of the node routes it to itself. */
static __always_inline int to_sockets(struct __sk_buff *skb, const __u32 direction)
{
	count_forwarded(ACTION_PROXY, direction, skb->len);
	skb->mark = PROXY_TO_SOCKET;
	return TC_ACT_OK;
}

/*
 * Packets on their way out, to a pod, can not be given to a socket: they are sent round, and come in again by another
 * device, where from_net does it. The mark says so, and nobody else's packets come there with one.
 */
static __always_inline int send_round(struct __sk_buff *skb, struct packet *p)
{
	if (!config.net)
		return drop(skb, p, DROP_PROXY_UNSUPPORTED);
	skb->mark = PROXY_TO_SOCKET;
	return bpf_redirect(config.net, BPF_F_INGRESS);
}

/* The mark of this node's socket that has the packet's connection; PROXY_TO_SOCKET where it waits out its time, and has none
 * any longer; 0: there is no such socket. */
global int connection_mark(struct __sk_buff *skb, struct packet *p)
{
	if (!p || p->protocol != IPPROTO_TCP || p->flags & PACKET_FRAGMENT)
		return 0;
	struct bpf_sock *sk = find_socket(skb, p, 0, IPPROTO_TCP);
	if (!sk)
		return 0;
	struct bpf_sock *full = sk->state != BPF_TCP_LISTEN ? bpf_sk_fullsock(sk) : 0;
	int mark = full ? full->mark : sk->state == BPF_TCP_TIME_WAIT ? PROXY_TO_SOCKET : 0;
	bpf_sk_release(sk);
	return mark;
}

/* What the node's own programs answer the proxy, which asked in a pod's name: nobody saw the question, for it went by the
 * loopback, so there is no flow, and the socket tells. Returns a verdict, or -1: it is for the pod. */
static __always_inline int answer_of_node(struct __sk_buff *skb, struct packet *p)
{
	if (skb->ingress_ifindex || is_upstream(skb->mark & PROXY_ROLE) || p->protocol != IPPROTO_TCP ||
	    opens(p->protocol, p->tcp_flags) || bpf_map_lookup_elem(&cilium_flows, &p->key))
		return -1;
	__u32 mark = connection_mark(skb, p), by = mark >> 16;
	if (mark == PROXY_TO_SOCKET)
		return send_round(skb, p);
	if ((mark & PROXY_ROLE) != PROXY_UPSTREAM_EGRESS)
		return -1;
	find_owner(p, 0);
	find_owner(p, 1);
	if (only_ends(skb, p))
		return send_round(skb, p);
	int error = judge_policy(p, 1, bpf_ntohs(p->source_port));
	__u32 asks = p->redirect[DIRECTION_EGRESS];
	if (!error && (p->redirect[DIRECTION_INGRESS] || (asks && asks != by))) /* the rules of today were not asked */
		error = DROP_PROXY_UNSUPPORTED;
	return error ? drop(skb, p, error) : send_round(skb, p);
}

/* A socket of the connection itself, or one to a server, is found again by the kernel, which then remembers the route
 * too, and puts fragments together before: to assign it here would cost a search of the routes for each packet. */
static __always_inline int to_proxy(struct __sk_buff *skb, struct packet *p, const __u32 direction)
{
	const bool udp = p->protocol == IPPROTO_UDP;
	bool listens = udp && !p->hop.upstream;
	struct bpf_sock *sk;
	long failed = 0;

	if (p->flags & PACKET_RELATED) /* the kernel finds the socket by the packet that is quoted */
		return to_sockets(skb, direction);
	if (udp ? p->flags & PACKET_FRAGMENT && !p->hop.upstream
		: p->protocol != IPPROTO_TCP || p->flags & PACKET_FRAGMENT)
		return drop(skb, p, DROP_PROXY_UNSUPPORTED);
	sk = udp ? find_socket(skb, p, listens ? p->hop.proxy_port : 0, IPPROTO_UDP) : find_stream(skb, p, &listens);
	if (!sk)
		return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
	if (!stands_for(sk, &p->hop)) {
		bool moved = !udp && !p->hop.upstream && !listens && is_downstream(role_of(sk));

		bpf_sk_release(sk);
		if (moved && make_reset(skb, p))
			return to_sockets(skb, direction);
		return drop(skb, p, DROP_SOCKET_LOOKUP_FAILED);
	}
	if (listens)
		failed = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	if (failed)
		return drop(skb, p, DROP_SOCKET_ASSIGN_FAILED);
	return to_sockets(skb, direction);
}
