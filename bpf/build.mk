# SPDX-License-Identifier: Apache-2.0
# The datapath's objects, compiled once; nodes need no compiler. Included by the Makefile, works alone too.
BPF_CLANG ?= clang-19
BPF_PROGRAMS := contract pod host socket
BPF_OBJECTS := $(BPF_PROGRAMS:%=build/bpf/%.o)
BPF_HEADERS := $(wildcard bpf/contract/*.h bpf/steps/*.h bpf/programs/*.h)

.PHONY: bpf
bpf: $(BPF_OBJECTS)

build/bpf/%.o: bpf/programs/%.c $(BPF_HEADERS) bpf/build.mk
	@mkdir -p $(@D)
	$(BPF_CLANG) -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/$(shell uname -m)-linux-gnu -c $< -o $@.tmp
	@mv $@.tmp $@
