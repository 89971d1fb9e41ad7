# The CNI plugin: static, so that it runs on any host it is copied to.
build/cilium-cni: native/cni/cilium-cni.c native/cni/agent.c native/cni/text.c native/cni/agent.h native/cni/text.h
	@mkdir -p build
	@gcc -std=gnu17 -Os -Wall -Wextra -Werror -static -s -o $@ native/cni/cilium-cni.c native/cni/agent.c native/cni/text.c
native: build/cilium-cni
