# SPDX-License-Identifier: Apache-2.0
# A real Kubernetes on this machine, the product's images, and the tests on both. Included by the Makefile.
#   make image                            OCI archives of the product in build/images
#   make kubernetes-up [NODES=2] [CILIUM=0] [SET="key=value …"]   a cluster; its KUBECONFIG is printed last
#   make kubernetes-down                  nothing of it is left
#   NAME=x with any of them: a cluster of that name, beside others
#   make test-kubernetes [ONLY=pattern]   the tests, on clusters of their own
#   make test-connectivity [ONLY=regex]   the connectivity test of Cilium's own client, on a cluster of its own
#   make test-network [ONLY=regex]        Kubernetes' own end-to-end tests of networking, on a cluster of their own
#   make test-networkpolicy [ONLY=regex]  likewise those of NetworkPolicy
#   make test-clusternetworkpolicy [ONLY=regex]  likewise the conformance tests of ClusterNetworkPolicy
NODES ?= 2
CILIUM ?= 1
NAME ?= kube

build/loopback: native/loopback/loopback.c native/cni/text.c native/cni/text.h
	@mkdir -p build
	@gcc -std=gnu17 -Os -D_GNU_SOURCE -Wall -Wextra -Werror -static -s -o $@ native/loopback/loopback.c native/cni/text.c
native: build/loopback

image: build
	@$(NODE) tools/image.ts

kubernetes-setup: node_modules/.installed
	@test/kubernetes/setup.sh

kubernetes-up: kubernetes-setup image
	@KUBERNETES_NAME=$(NAME) $(NODE) test/kubernetes/main.ts up --nodes $(NODES) $(if $(filter 0,$(CILIUM)),--bare) $(foreach s,$(SET),--set $(s))

kubernetes-down:
	@KUBERNETES_NAME=$(NAME) $(NODE) test/kubernetes/main.ts down

test-kubernetes: kubernetes-setup image
	@KUBERNETES_NAME=$(NAME) $(NODE) test/kubernetes/main.ts test $(if $(ONLY),--only '$(ONLY)')

test-connectivity test-network test-networkpolicy test-clusternetworkpolicy: test-%: kubernetes-setup image
	@KUBERNETES_NAME=$(NAME) $(NODE) test/kubernetes/main.ts $* $(if $(ONLY),--only '$(ONLY)')

.PHONY: test-connectivity test-network test-networkpolicy test-clusternetworkpolicy kubernetes-setup image kubernetes-up kubernetes-down test-kubernetes
