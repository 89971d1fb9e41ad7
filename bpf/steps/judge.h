/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The slow path: who sends, who receives, may it, which way; the answer becomes the flow entry. */
#pragma once
#include "deliver.h"
#include "fib.h"
#include "identity.h"
#include "parse.h"
#include "policy.h"
#include "service.h"

/* The last three are the node's own packets: from others to it, from it to the wire, from it to pods behind a tunnel. */
enum way { WAY_FROM_POD, WAY_FROM_WIRE, WAY_TO_POD, WAY_FROM_PROXY, WAY_TO_NODE, WAY_OF_NODE, WAY_NODE_TUNNEL };

#define is_of_node(way) ((way) == WAY_OF_NODE || (way) == WAY_NODE_TUNNEL)
#define is_nodes(way) ((way) == WAY_TO_NODE || is_of_node(way))

/* Who may have sent it, given where it came in. Returns 0 or a drop code. */
static __always_inline int check_sender(struct __sk_buff *skb, struct packet *p, const enum way way)
{
	struct owner *sender = &p->end[0];

	if (way == WAY_FROM_POD) {
		__u32 number = skb->ifindex;
		const struct interface *pod = bpf_map_lookup_elem(&cilium_interfaces, &number);
		if (!pod)
			return DROP_UNKNOWN_SENDER;
		sender->identity = pod->identity;
		sender->policy = pod->policy;
		sender->endpoint = pod->endpoint;
		sender->interface = number;
		sender->flags = OWNER_LOCAL;
		sender->peer = 0;
		const struct address *own = p->flags & PACKET_V6 ? &pod->ipv6 : &pod->ipv4;
		if (is_zero(own) || !equal(&p->source, own))
			return DROP_INVALID_SOURCE_IP;
		const struct owner *known = bpf_map_lookup_elem(&cilium_owners, &p->source);
		if (known && known->identity == sender->identity)
			sender->peer = known->peer;
		return 0;
	}
	if (is_of_node(way)) {
		find_node(p, 0);
		return 0;
	}
	find_owner(p, 0);
	if (way == WAY_FROM_PROXY) /* speaks in a pod's name */
		return sender->flags & OWNER_LOCAL ? 0 : DROP_INVALID_SOURCE_IP;
	if (way == WAY_TO_POD) {
		sender->flags &= ~OWNER_LOCAL; /* what it may send was judged when it sent */
		return 0;
	}
	p->direction = DIRECTION_INGRESS;
	if (sender->flags & (OWNER_LOCAL | OWNER_HOST))
		return DROP_INVALID_SOURCE_IP;
	if (p->tunnel_identity) {
		if (sender->identity != p->tunnel_identity)
			sender->peer = 0;
		sender->identity = p->tunnel_identity;
		sender->node = p->tunnel_source;
	} else if (config.tunnel && !is_zero(&sender->node) && !(p->entry & ENTRY_NAT)) {
		return DROP_INVALID_SOURCE_IP; /* behind a tunnel, yet not through it */
	}
	return 0;
}

static __always_inline bool in_cluster(__u32 identity)
{
	return identity >= 256 && identity < 1 << 24;
}

static __always_inline bool is_masqueraded(const struct packet *p)
{
	const struct owner *to = &p->end[1];
	bool v6 = p->flags & PACKET_V6;

	if (!(v6 ? config.masquerade_ipv6 : config.masquerade_ipv4) || in_cluster(to->identity))
		return false;
	if (to->flags & OWNER_NODE)
		return config.tunnel; /* by native routing other nodes know the way back */
	if (v6)
		return !config.native_ipv6_bits || !within(&p->destination, &config.native_ipv6, config.native_ipv6_bits);
	return !config.native_ipv4_bits || !within(&p->destination, &config.native_ipv4, config.native_ipv4_bits);
}

/* The way of what the wire sent to a service of the node's, to a backend elsewhere and back. Returns 0 or a drop code. */
static __always_inline int find_external_way(struct __sk_buff *skb, struct packet *p, bool reply)
{
	struct hop *hop = &p->hop;
	struct address node;

	hop->action = reply ? ACTION_EXTERNAL_REPLY : ACTION_MASQUERADE;
	if (reply || is_zero(&p->end[1].node))
		return find_route(skb, p, &p->source, &p->destination) ? 0 : DROP_FIB_FAILED;
	if (!config.tunnel)
		return DROP_NO_TUNNEL_ENDPOINT;
	hop->tunnel = p->end[1].node;
	copy_const(&node, is_mapped(&hop->tunnel) ? &config.node_ipv4 : &config.node_ipv6);
	return find_route(skb, p, &node, &hop->tunnel) ? 0 : DROP_FIB_FAILED;
}

/* The way of the sender's packets, into p->hop. Returns 0 or a drop code. */
static __always_inline int find_way(struct __sk_buff *skb, struct packet *p, const struct flow *flow, bool reply,
				    bool external, const enum way way)
{
	const struct owner *to = &p->end[1];
	struct hop *hop = &p->hop;

	hop->identity = p->end[0].identity;
	hop->out = 0;
	__builtin_memset(&hop->tunnel, 0, sizeof(hop->tunnel));
	if (way == WAY_TO_POD || way == WAY_TO_NODE || way == WAY_OF_NODE) {
		hop->action = way == WAY_OF_NODE && reply && external ? ACTION_EXTERNAL_REPLY : ACTION_STACK;
		return 0;
	}
	if (to->flags & OWNER_LOCAL) {
		hop->action = ACTION_PEER;
		hop->out = to->interface;
		return hop->out ? 0 : DROP_ENDPOINT_NOT_READY;
	}
	if (way == WAY_FROM_WIRE) {
		if (external)
			return find_external_way(skb, p, reply);
		hop->action = ACTION_STACK;
		return 0;
	}
	if (to->flags & OWNER_HOST) {
		hop->action = to->flags & OWNER_GATEWAY && p->flags & PACKET_ECHO_REQUEST ? ACTION_ECHO : ACTION_STACK;
		return 0;
	}
	bool back = reply && flow && flow->flags & FLOW_TUNNELLED;
	if (back || !is_zero(&to->node)) {
		struct address node;
		hop->action = ACTION_TUNNEL;
		hop->tunnel = back ? flow->tunnel : to->node;
		if (!config.tunnel)
			return DROP_NO_TUNNEL_ENDPOINT;
		copy_const(&node, is_mapped(&hop->tunnel) ? &config.node_ipv4 : &config.node_ipv6);
		return find_route(skb, p, &node, &hop->tunnel) ? 0 : DROP_FIB_FAILED;
	}
	if (!find_route(skb, p, &p->source, &p->destination)) {
		hop->action = ACTION_STACK; /* the kernel knows whether it is its own, and answers if it is nobody's */
		return 0;
	}
	hop->action = !reply && is_masqueraded(p) ? ACTION_MASQUERADE
		      : reply && external	  ? ACTION_EXTERNAL_REPLY
						  : ACTION_NEIGHBOUR;
	return 0;
}

/* What the other side's packets will meet, as far as it is known now. */
static __always_inline void expect_replies(struct __sk_buff *skb, struct packet *p, struct flow *f, const enum way way)
{
	__u32 side = p->side & 1, other = side ^ 1;

	if (is_nodes(way)) { /* pods behind a tunnel may be answered by another device: the slow path will see */
		bool tunnel = way == WAY_NODE_TUNNEL, tunnelled = p->entry & ENTRY_TUNNEL;
		f->action[other] = tunnelled				     ? ACTION_ROUTE
				   : way == WAY_TO_NODE && p->translated ? ACTION_EXTERNAL_REPLY
									 : ACTION_STACK;
		f->entry[other] = tunnelled	       ? 0
				  : tunnel	       ? p->hop.out | ENTRY_TUNNEL
				  : way == WAY_TO_NODE ? skb->ifindex | ENTRY_TO_WIRE
						       : skb->ifindex;
		return;
	}
	if (way == WAY_FROM_WIRE) { /* the first reply finds its way */
		f->entry[other] = p->end[1].flags & OWNER_LOCAL ? p->end[1].interface : p->hop.out | ENTRY_NAT;
		f->action[other] = ACTION_ROUTE;
		return;
	}
	if (way == WAY_TO_POD) {
		f->entry[other] = skb->ifindex;
		f->action[other] = f->flags & FLOW_UPSTREAM	   ? ACTION_PROXY
				   : p->end[0].flags & OWNER_HOST ? ACTION_STACK
								  : ACTION_ROUTE;
		return;
	}
	if (way == WAY_FROM_PROXY) {
		f->action[other] = ACTION_PROXY;
	} else {
		f->action[other] = p->translated ? ACTION_SERVICE_REPLY : ACTION_PEER;
		f->out[other] = skb->ifindex;
	}
	switch (p->hop.action) {
	case ACTION_PEER:
		f->entry[other] = p->hop.out;
		break;
	case ACTION_TUNNEL:
		f->entry[other] = p->hop.out | ENTRY_TUNNEL;
		break;
	case ACTION_NEIGHBOUR:
		f->entry[other] = p->hop.out;
		break;
	case ACTION_MASQUERADE:
		f->entry[other] = p->hop.out | ENTRY_NAT;
		break;
	default: /* the kernel answers, or the proxy */
		if (way == WAY_FROM_PROXY)
			break;
		f->entry[other] = skb->ifindex | ENTRY_TO_POD;
		f->action[other] = p->translated ? ACTION_SERVICE_REPLY : ACTION_STACK;
	}
}

/* A packet to a service address: remembers which backend answers for it. -1: it is none. */
static __always_inline int pass_to_service(struct __sk_buff *skb, struct packet *p, struct flow *flow, __u32 now,
					   const enum way way)
{
	const __u32 direction = way == WAY_FROM_WIRE ? DIRECTION_INGRESS : DIRECTION_EGRESS;
	struct flow *f = &p->fresh;
	__u32 side = p->side & 1;
	int error;

	if ((p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP) || (flow && !(flow->flags & FLOW_SERVICE)))
		return -1;
	const struct service *service = way == WAY_FROM_WIRE
						? find_external(&p->destination, p->destination_port, p->protocol)
						: find_service(&p->destination, p->destination_port, p->protocol);
	opaque(service);
	if (!service) {
		if (!flow)
			return -1;
		opaque(flow);
	}
	error = check_sender(skb, p, way);
	if (error)
		return drop(skb, p, error);
	/* The backend stays, also for a repeated SYN; but what begins, or is a datagram, goes to none that has gone. */
	bool stays = flow && flow->entry[side] == p->entry && !expired(flow, p->protocol, now);
	if (stays && service && (p->protocol == IPPROTO_UDP || opens(p->protocol, p->tcp_flags)))
		stays = leads_to(service, &flow->service, flow->service_port);
	if (flow && stays) {
		*f = *flow;
	} else {
		const struct backend *backend = service ? choose_backend(service) : 0;
		if (!backend)
			return drop(skb, p, DROP_NO_BACKEND);
		__builtin_memset(f, 0, sizeof(*f));
		f->created = now;
		f->flags = FLOW_SERVICE;
		f->origin = side;
		f->entry[side] = p->entry;
		f->action[side] = ACTION_SERVICE;
		f->service = backend->address;
		f->service_port = backend->port;
	}
	f->epoch = current_epoch();
	f->seen = now;
	count(f, side, p->tcp_flags & ~TCP_FIN, skb->len);
	load_hop(&p->hop, f, side);
	if (p->tcp_flags & TCP_RST)
		bpf_map_delete_elem(&cilium_flows, &p->key);
	else if (bpf_map_update_elem(&cilium_flows, &p->key, f, BPF_ANY))
		return drop(skb, p, DROP_CT_INSERT_FAILED);
	return act(skb, p, direction);
}

static __always_inline __u32 observed_at(__u32 action, const enum way way)
{
	if (way == WAY_TO_NODE)
		return AT_TO_HOST;
	if (way == WAY_OF_NODE)
		return AT_TO_NETWORK;
	switch (action) {
	case ACTION_PEER:
		return AT_TO_ENDPOINT;
	case ACTION_TUNNEL:
		return AT_TO_OVERLAY;
	case ACTION_NEIGHBOUR:
	case ACTION_MASQUERADE:
	case ACTION_EXTERNAL_REPLY:
		return AT_TO_NETWORK;
	case ACTION_ECHO:
		return AT_TO_HOST;
	case ACTION_PROXY:
		return AT_TO_PROXY;
	default:
		return AT_TO_STACK;
	}
}

/* Known and in order: needs nothing but what the fast path did not want to look at (ICMP, fragments, odd headers). */
static __always_inline int pass_established(struct __sk_buff *skb, struct packet *p, struct flow *flow,
					    const __u32 direction)
{
	count(flow, p->side, p->tcp_flags, skb->len);
	load_hop(&p->hop, flow, p->side);
	return act(skb, p, direction);
}

/* Last words of a connection: pass, report, forget. */
static __always_inline int pass_closing(struct __sk_buff *skb, struct packet *p, struct flow *flow,
					const enum way way, const __u32 direction)
{
	__u32 side = p->side & 1;

	count(flow, side, p->tcp_flags, skb->len);
	load_hop(&p->hop, flow, side);
	p->end[0].identity = flow->identity[side];
	p->end[0].endpoint = flow->endpoint[side];
	p->end[1].identity = flow->identity[side ^ 1];
	p->end[1].endpoint = flow->endpoint[side ^ 1];
	p->rule[0] = flow->rule[0];
	p->rule[1] = flow->rule[1];
	notify(skb, p, EVENT_CLOSE, observed_at(p->hop.action, way), flow);
	bpf_map_delete_elem(&cilium_flows, &p->key);
	return act(skb, p, direction);
}

/* An ICMP error goes where replies of the flow it tells of go; without a flow it is a packet like any other. */
static __always_inline int pass_related(struct __sk_buff *skb, struct packet *p, const enum way way,
					const __u32 direction)
{
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	__u32 side = p->side & 1;

	if (!flow || (!flow->action[side] && !is_of_node(way)))
		return -1;
	if (way == WAY_FROM_POD ? flow->entry[side] != p->entry : !is_of_node(way) && flow->endpoint[side])
		return -1;
	if (flow->epoch != current_epoch())
		return drop_quietly(p); /* its next packet is judged; the error will come again */
	p->flags |= PACKET_RELATED;
	if (way == WAY_OF_NODE && flow->action[side] != ACTION_EXTERNAL_REPLY)
		return TC_ACT_OK;
	if (way == WAY_NODE_TUNNEL) {
		int error;
		find_owner(p, 1);
		p->end[0].identity = IDENTITY_HOST;
		error = find_way(skb, p, 0, false, false, way);
		return error ? drop(skb, p, error) : act(skb, p, direction);
	}
	load_hop(&p->hop, flow, side);
	return act(skb, p, direction);
}

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
	if (way == WAY_TO_POD) /* can not be given to a socket here */
		return pair.ingress || pair.egress ? DROP_PROXY_UNSUPPORTED : 0;
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

/* What came in for this node itself passes, unless it has a firewall. */
static __always_inline int into_node(struct __sk_buff *skb, struct packet *p)
{
	if (!config.host_firewall || !find_node(p, 1))
		return TC_ACT_OK;
	call(skb, CALL_TO_NODE);
	return drop(skb, p, DROP_MISSED_TAIL_CALL);
}

/* Behind a tunnel a node speaks for clients beyond the cluster too, whom its address does not tell: who opened a flow is
 * known from there, and what the proxy asks may be for either. Its listener stands for what was asked of the client. */
static __always_inline int judge_for_node(struct __sk_buff *skb, struct packet *p, const struct flow *known, __u32 opener,
					  __u32 port, const enum way way)
{
	struct owner *from = &p->end[opener & 1];
	bool unsure = config.tunnel && from->flags & OWNER_NODE && !p->tunnel_identity;

	if (unsure && known && known->flags & (FLOW_TUNNELLED | FLOW_UPSTREAM)) {
		from->identity = known->identity[known->origin & 1];
		from->peer = 0;
	}
	int error = judge_policy(p, opener, port);
	if (way != WAY_TO_POD || !unsure || known || !is_upstream(skb->mark & PROXY_ROLE) ||
	    (!error && p->redirect[DIRECTION_INGRESS] == skb->mark >> 16))
		return error;
	from->identity = world(p->flags & PACKET_V6);
	from->peer = 0;
	return judge_policy(p, opener, port);
}

static __always_inline int judge(struct __sk_buff *skb, struct packet *p, const enum way way)
{
	const __u32 direction =
		way == WAY_FROM_POD || way == WAY_FROM_PROXY || is_of_node(way) ? DIRECTION_EGRESS : DIRECTION_INGRESS;
	bool icmp = p->protocol == IPPROTO_ICMP || p->protocol == PROTOCOL_ICMPV6;
	__u32 now = coarse_clock(), side, opener, reason;
	int error;

	if (p->inner) {
		struct flow_key own = p->key;
		__u32 own_side = p->side;
		if (way == WAY_FROM_POD) {
			error = check_sender(skb, p, way);
			if (error)
				return drop(skb, p, error);
		}
		if (relate(skb, p)) {
			int passed = pass_related(skb, p, way, direction);
			if (passed >= 0)
				return passed;
			p->key = own;
			p->side = own_side;
		}
	}

	side = p->side & 1;
	struct flow *flow = bpf_map_lookup_elem(&cilium_flows, &p->key);
	if (flow && flow->flags & FLOW_HAIRPIN && flow->entry[side] == p->entry)
		flow->epoch = current_epoch(); /* judged by nobody */
	if (flow && !(flow->flags & FLOW_SERVICE) &&
	    !(p->tunnel_identity && flow->identity[side] != p->tunnel_identity)) {
		if (established(flow, side, p->entry, p->protocol, p->tcp_flags))
			return pass_established(skb, p, flow, direction);
		bool closing = p->tcp_flags & TCP_RST || (flow->closing == 3 && !opens(p->protocol, p->tcp_flags));
		if (closing && flow->epoch == current_epoch() && flow->entry[side] == p->entry && flow->action[side])
			return pass_closing(skb, p, flow, way, direction);
	}

	if (way == WAY_TO_NODE)
		find_node(p, 1);
	else
		find_owner(p, 1);
	if (way == WAY_FROM_POD && !p->translated && !p->end[1].flags && !in_cluster(p->end[1].identity)) {
		int passed = pass_to_service(skb, p, flow, now, way);
		if (passed >= 0)
			return passed;
	}
	/* To a backend on another node, or back from there. */
	bool forwarded = way == WAY_FROM_WIRE && !(p->end[1].flags & OWNER_LOCAL) &&
			 (p->translated || (flow && flow->flags & FLOW_EXTERNAL && p->entry & ENTRY_NAT));
	if (way == WAY_FROM_WIRE && !p->tunnel_identity && !forwarded && !(p->end[1].flags & OWNER_LOCAL)) {
		int passed = pass_to_service(skb, p, flow, now, way);
		return passed >= 0 ? passed : into_node(skb, p); /* the node's own, or passing through */
	}
	error = check_sender(skb, p, way);
	if (error)
		return drop(skb, p, error);
	if (way == WAY_FROM_POD && is_multicast(&p->destination, p->flags & PACKET_V6))
		return drop_quietly(p);
	if (way != WAY_FROM_POD && way != WAY_FROM_PROXY && !is_nodes(way) && !forwarded &&
	    !(p->end[1].flags & OWNER_LOCAL))
		return way == WAY_FROM_WIRE && p->end[1].flags & OWNER_HOST
			       ? into_node(skb, p)
			       : drop(skb, p, DROP_STALE_OR_UNROUTABLE);
	if (way == WAY_FROM_WIRE && p->flags & PACKET_NEIGHBOUR)
		return drop(skb, p, DROP_FORBIDDEN_ICMPV6);

	/* A flow is judged the way it was opened, whichever side's packet comes first after a change of policy. */
	bool opening = opens(p->protocol, p->tcp_flags);
	bool known = flow && !expired(flow, p->protocol, now) && flow->closing != 3 &&
		     !(opening && flow->origin != side);
	if (forwarded && !known && !p->translated)
		return drop(skb, p, DROP_STALE_OR_UNROUTABLE);
	bool external = way == WAY_FROM_WIRE && p->translated ? true : known && flow->flags & FLOW_EXTERNAL;
	__u32 origin = known ? flow->origin & 1 : side;
	__u32 port = icmp ? p->icmp : bpf_ntohs(p->destination_port);
	__u32 reverse_port = bpf_ntohs(p->source_port);

	opener = origin == side ? 0 : 1;
	error = judge_for_node(skb, p, known ? flow : 0, opener, opener ? reverse_port : port, way);
	if (error && !known && p->protocol == IPPROTO_TCP && !opening) {
		/* Perhaps a reply whose entry was lost. */
		__u32 rules[2] = {p->rule[0], p->rule[1]}, decided = p->direction;
		if (!judge_policy(p, 1, reverse_port)) {
			error = 0;
			opener = 1;
			origin = side ^ 1;
		} else {
			p->rule[0] = rules[0];
			p->rule[1] = rules[1];
			p->direction = decided;
		}
	}
	if (known)
		p->flags |= PACKET_REJUDGED;
	if (error) { /* a known flow keeps its entry: it remembers who opened, so that no side passes for the replying one */
		if (p->rule[p->direction & 1])
			count_rule(p->rule[p->direction & 1], skb->len);
		return drop(skb, p, error);
	}
	p->hop.proxy_port = 0;
	error = !is_nodes(way) ? find_listener(skb, p, known ? flow : 0, opener, way)
				: p->redirect[DIRECTION_EGRESS] || p->redirect[DIRECTION_INGRESS] ? DROP_PROXY_UNSUPPORTED
										  : 0;
	if (!error) {
		if (p->hop.proxy_port && (way == WAY_FROM_POD || way == WAY_FROM_WIRE)) {
			p->hop.action = ACTION_PROXY;
			p->hop.out = 0;
			if (external && way == WAY_FROM_POD) /* not asked by the proxy: it answers the client itself */
				error = DROP_PROXY_UNSUPPORTED;
		} else {
			error = find_way(skb, p, flow, opener, external, way);
		}
	}
	if (error)
		return drop(skb, p, error);

	struct flow *f = &p->fresh;
	if (known) {
		*f = *flow;
	} else {
		__builtin_memset(f, 0, sizeof(*f));
		f->created = now;
	}
	bool is_translated = !is_zero(&f->service);
	bool same = known && f->epoch == current_epoch();
	f->epoch = current_epoch();
	f->seen = now;
	f->origin = origin;
	f->entry[side] = p->entry;
	f->out[side] = p->hop.out;
	f->action[side] = p->hop.action;
	f->rule[0] = p->rule[0];
	f->rule[1] = p->rule[1];
	f->identity[side] = p->end[0].identity;
	f->identity[side ^ 1] = p->end[1].identity;
	f->endpoint[side] = p->end[0].endpoint;
	f->endpoint[side ^ 1] = p->end[1].endpoint;
	if (p->audit)
		f->flags |= FLOW_AUDIT;
	else
		f->flags &= ~FLOW_AUDIT;
	if (opener && !known)
		f->flags |= FLOW_REVERSED;
	f->proxy_port = p->hop.proxy_port;
	if (p->hop.proxy_port && p->hop.upstream)
		f->flags |= FLOW_UPSTREAM;
	else
		f->flags &= ~FLOW_UPSTREAM;
	if (p->translated) {
		f->service = p->service_address;
		f->service_port = p->service_port;
		if (way == WAY_FROM_WIRE || way == WAY_TO_NODE)
			f->flags |= FLOW_EXTERNAL;
	}
	if (p->tunnel_identity) {
		f->tunnel = p->tunnel_source;
		if (!opener)
			f->flags |= FLOW_TUNNELLED;
	}
	if (p->hop.action == ACTION_TUNNEL || (way == WAY_FROM_WIRE && p->hop.action == ACTION_MASQUERADE))
		f->tunnel = p->hop.tunnel;
	if (p->hop.action >= ACTION_NEIGHBOUR && p->hop.action <= ACTION_MASQUERADE)
		f->next_hop = p->hop.next_hop;
	if (!known || (!same && opener == 0) || (p->translated && !is_translated))
		expect_replies(skb, p, f, way);
	count(f, side, p->tcp_flags, skb->len);

	/* A lone FIN or RST is passed but not remembered: it belongs to a connection that was closed and forgotten. */
	reason = observed_at(p->hop.action, way);
	if (known || !(p->tcp_flags & (TCP_FIN | TCP_RST))) {
		if (bpf_map_update_elem(&cilium_flows, &p->key, f, BPF_ANY))
			return drop(skb, p, DROP_CT_INSERT_FAILED);
		if (!known)
			notify(skb, p, EVENT_NEW, reason, f);
	}
	p->hop.nat_port = f->nat_port;
	p->hop.service = f->service;
	p->hop.service_port = f->service_port;
	return act(skb, p, direction);
}
