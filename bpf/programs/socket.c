// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Services where sockets ask for them, on the node's cgroup: connect and sendmsg go to a backend, recvmsg and getpeername
 * show the address that was asked for. After that no packet needs translating. */
#include "../steps/balance.h"

#define ECONNREFUSED 111

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void remember(struct bpf_sock_addr *ctx, const struct service_key *asked,
				     const struct backend *backend, __u32 service)
{
	struct reverse_socket_key key = {
		.cookie = bpf_get_socket_cookie(ctx), .address = backend->address, .port = backend->port};
	struct reverse_socket value = {.address = asked->address, .port = asked->port, .service = service};
	bpf_map_update_elem(&cilium_reverse_sockets, &key, &value, BPF_ANY);
}

static __noinline void notify_socket(struct bpf_sock_addr *ctx, const struct service_key *asked,
				     const struct backend *backend)
{
	struct event *e = bpf_ringbuf_reserve(&cilium_events, sizeof(*e), 0);
	if (!e)
		return;
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->kind = EVENT_SOCKET;
	e->direction = DIRECTION_EGRESS;
	e->flags = is_mapped(&asked->address) ? 0 : EVENT_IPV6;
	e->protocol = asked->protocol;
	e->source_port = bpf_ntohs(asked->port);
	e->destination_port = bpf_ntohs(backend->port);
	e->source = asked->address;
	e->destination = backend->address;
	e->packets[0] = bpf_get_socket_cookie(ctx);
	e->packets[1] = bpf_get_current_cgroup_id();
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

static __always_inline void read_address(struct bpf_sock_addr *ctx, struct address *a, const bool v6)
{
	if (v6) {
		a->word[0] = ctx->user_ip6[0];
		a->word[1] = ctx->user_ip6[1];
		a->word[2] = ctx->user_ip6[2];
		a->word[3] = ctx->user_ip6[3];
	} else {
		map_v4(a, ctx->user_ip4);
	}
}

static __always_inline void write_address(struct bpf_sock_addr *ctx, const struct address *a, __be16 port, const bool v6)
{
	if (v6) {
		ctx->user_ip6[0] = a->word[0];
		ctx->user_ip6[1] = a->word[1];
		ctx->user_ip6[2] = a->word[2];
		ctx->user_ip6[3] = a->word[3];
	} else {
		ctx->user_ip4 = a->word[3];
	}
	ctx->user_port = port;
}

/* 1: go on, to wherever the address now says. IPv6 sockets that ask for an IPv4-mapped address find IPv4 services. */
static __always_inline int to_backend(struct bpf_sock_addr *ctx, const bool v6)
{
	struct service_key asked = {};

	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return 1;
	read_address(ctx, &asked.address, v6);
	asked.port = ctx->user_port;
	asked.protocol = ctx->protocol;
	const struct service *service = bpf_map_lookup_elem(&cilium_services, &asked);
	if (!service)
		return 1;
	const __u64 namespace = bpf_get_netns_cookie(ctx);
	if (is_loopback(&asked.address) && namespace != config.namespace) /* a pod's own */
		return 1;
	const struct address client = {.word = {namespace, namespace >> 32}};
	const struct backend *backend = choose_backend(service, &client);
	if (!backend || is_mapped(&backend->address) != is_mapped(&asked.address)) {
		bpf_set_retval(-ECONNREFUSED);
		return 0;
	}
	if (asked.protocol == IPPROTO_UDP || config.tcp_peer_names)
		remember(ctx, &asked, backend, service->id);
	if (config.socket_events)
		notify_socket(ctx, &asked, backend);
	write_address(ctx, &backend->address, backend->port, v6);
	return 1;
}

static __always_inline int to_service(struct bpf_sock_addr *ctx, const bool v6)
{
	struct reverse_socket_key key = {};

	if (ctx->protocol != IPPROTO_UDP && !config.tcp_peer_names)
		return 1;
	key.cookie = bpf_get_socket_cookie(ctx);
	read_address(ctx, &key.address, v6);
	key.port = ctx->user_port;
	const struct reverse_socket *asked = bpf_map_lookup_elem(&cilium_reverse_sockets, &key);
	if (asked)
		write_address(ctx, &asked->address, asked->port, v6);
	return 1;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return to_backend(ctx, false);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return to_backend(ctx, true);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return to_backend(ctx, false);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return to_backend(ctx, true);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return to_service(ctx, false);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return to_service(ctx, true);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return to_service(ctx, false);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return to_service(ctx, true);
}
