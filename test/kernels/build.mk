# SPDX-License-Identifier: Apache-2.0
# The datapath on the kernels people run, in guests. Included by the Makefile.
#   make test-kernels [LINE=6.1]   loads, attaches, packets and traffic on Debian's 6.1 and 6.12, and on this kernel
test-kernels: node_modules/.installed bpf bundles
	@test/kernels/setup.sh
	@$(NODE) test/kernels/main.ts test $(LINE)

.PHONY: test-kernels
