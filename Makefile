# Two commands: `make demo` and `make test`. The rest is for those who stay.
#   make demo             a lab of three nodes, the Star Wars walk-through, and all gone again
#   make test [PART=…]    all tests, or one part: law unit model scenarios kernel cluster
#   make fuzz [CASES=…] [PART=…] [SEED=…]  policies at random against a reference model, a million questions
#   make bench [ONLY=…]   the figures, with their goals, as a table and in bench.json
#   make build            everything that is compiled or bundled, into build/
#   make test-kernels     the datapath on Debian's kernels 6.1 and 6.12, in guests
#   make check            types, formatting, lint
#   make generate         gen/ anew from its inputs
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
NODE := node_modules/.bin/node
export NODE_NO_WARNINGS = 1

all: build

include bpf/build.mk native/build.mk native/cni/build.mk test/kubernetes/build.mk test/kernels/build.mk

# Debian packages and node_modules, only what is missing.
node_modules/.installed: package.json package-lock.json tools/setup.sh
	@tools/setup.sh
	@touch $@

setup: node_modules/.installed

build: node_modules/.installed bpf native build/netbench build/httpbench build/dnsbench build/steady bundles

build/netbench: test/bench/netbench.c
build/httpbench: test/bench/httpbench.c
build/dnsbench: test/bench/dnsbench.c
build/steady: test/cluster/faults/steady.c
build/netbench build/httpbench build/dnsbench build/steady:
	@mkdir -p build
	@gcc -O2 -Wall -Wextra -Werror -o $@ $<

bundles: node_modules/.installed
	@$(NODE) tools/bundle.ts

demo: build
	@tools/demo.sh

test: build check
	@$(NODE) tools/test.ts $(PART)

check: node_modules/.installed
	@node_modules/.bin/tsc -p tsconfig.json && node_modules/.bin/tsc -p tsconfig.pure.json
	@node_modules/.bin/biome check --error-on-warnings .

fuzz: build
	@$(foreach v,CASES PART SEED,$(if $($(v)),$(v)=$($(v)))) $(NODE) tools/fuzz.ts

bench: build
	@$(NODE) test/bench/main.ts $(if $(ONLY),--only $(ONLY))

generate: bpf
	@$(NODE) tools/layouts.ts

clean:
	@rm -rf build .cache

.PHONY: all setup build bpf native bundles demo test check fuzz bench generate clean
