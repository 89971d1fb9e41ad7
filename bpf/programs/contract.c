// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Never loaded: carries the types of the contract in its BTF, from which gen/contract.ts is made. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../contract/codes.h"
#include "../contract/config.h"
#include "../contract/maps.h"
#include "../contract/types.h"

const volatile struct config config;

struct {
	enum drop drop;
	enum metric_reason metric_reason;
	enum observation observation;
	enum identity_number identity_number;
	enum owner_flags owner_flags;
	enum verdict verdict;
	enum direction direction;
	enum port_space port_space;
	enum action action;
	enum flow_flags flow_flags;
	enum service_flags service_flags;
	enum entry_flags entry_flags;
	enum packet_mark packet_mark;
	enum event_kind event_kind;
	enum event_flags event_flags;
	struct event event;
	struct clock clock;
} contract;
