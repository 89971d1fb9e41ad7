#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what running other kernels needs on Debian 12, only what is missing; says nothing when nothing is.
set -eu
missing=
need() { command -v "$2" >/dev/null 2>&1 || missing="$missing $1"; }
need qemu-system-x86 qemu-system-x86_64
need busybox-static busybox
need cpio cpio
need kmod modprobe
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "kernels: these Debian packages are missing, and only root may install them: apt-get install$missing" >&2; exit 1; }
echo "kernels: installing$missing" >&2
apt-get update -q=2 >/dev/null 2>&1 || true
out=$(DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends $missing 2>&1) || { echo "$out" >&2; exit 1; }
