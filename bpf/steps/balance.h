/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backend answers for a service. */
#pragma once
#include "packet.h"

static __always_inline const struct backend *choose_backend(const struct service *service)
{
	if (!service->count)
		return 0;
	__u32 slot = service->slots + bpf_get_prandom_u32() % service->count;
	const __u32 *id = bpf_map_lookup_elem(&cilium_backend_slots, &slot);
	return id ? bpf_map_lookup_elem(&cilium_backends, id) : 0;
}
