# Native programs: the lab's node and container starter, stand-in programs of images. Each folder is one program.
NATIVE_CC ?= gcc
NATIVE_CFLAGS = -std=gnu17 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-missing-field-initializers

build/native/lab-node: $(wildcard native/container/*.c native/container/*.h) | build/native
	$(NATIVE_CC) $(NATIVE_CFLAGS) -static -o $@ $(filter %.c,$^)

build/native/lab-http: $(wildcard native/standins/*.c native/standins/*.h) | build/native
	$(NATIVE_CC) $(NATIVE_CFLAGS) -pthread -o $@ $(filter %.c,$^)

build/native:
	mkdir -p $@

.PHONY: native
native: build/native/lab-node build/native/lab-http
