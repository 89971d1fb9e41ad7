/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backend answers for a service. */
#pragma once
#include "notify.h"

struct backend_search {
	struct address address;
	__u32 slot;
	__be16 port;
	__u16 found;
	__u32 id;
};

static long try_backend(__u32 index, void *context)
{
	struct backend_search *search = context;
	__u32 slot = search->slot + index;
	const __u32 *id = bpf_map_lookup_elem(&cilium_backend_slots, &slot);
	const struct backend *backend = id ? bpf_map_lookup_elem(&cilium_backends, id) : 0;

	search->found = backend && backend->port == search->port && equal(&backend->address, &search->address);
	if (search->found)
		search->id = *id;
	return search->found;
}

/* The backend with this address, if the service leads there (still). */
static __always_inline const struct backend *find_backend(const struct service *service, const struct address *address,
							  __be16 port)
{
	struct backend_search search = {.address = *address, .slot = service->slots, .port = port};

	bpf_loop(service->count, try_backend, &search, 0);
	return search.found ? bpf_map_lookup_elem(&cilium_backends, &search.id) : 0;
}

/* The one this client has had, where the service asks for that. */
static __always_inline const struct backend *find_kept(const struct service *service, const struct affinity_key *key)
{
	struct affinity *kept = bpf_map_lookup_elem(&cilium_affinity, key);
	__u32 now = coarse_clock();

	if (!kept || now - kept->seen > coarse(service->affinity))
		return 0;
	const struct backend *backend = find_backend(service, &kept->address, kept->port);
	if (backend)
		kept->seen = now;
	return backend;
}

static __always_inline const struct backend *choose_backend(const struct service *service, const struct address *client)
{
	struct affinity_key key = {.client = *client, .service = service->id};

	if (!service->count)
		return 0;
	if (service->affinity) {
		const struct backend *kept = find_kept(service, &key);
		if (kept)
			return kept;
	}
	__u32 slot = service->slots + bpf_get_prandom_u32() % service->count;
	const __u32 *id = bpf_map_lookup_elem(&cilium_backend_slots, &slot);
	const struct backend *backend = id ? bpf_map_lookup_elem(&cilium_backends, id) : 0;
	if (backend && service->affinity) {
		struct affinity keep = {.address = backend->address, .port = backend->port, .seen = coarse_clock()};
		bpf_map_update_elem(&cilium_affinity, &key, &keep, BPF_ANY);
	}
	return backend;
}
