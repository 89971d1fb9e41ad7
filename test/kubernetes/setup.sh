#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the test cluster needs beside what building needs: Debian packages, only those missing, and a Go of its own age.
set -eu
missing=
need() { command -v "$1" >/dev/null || missing="$missing $2"; }
need containerd containerd
need runc runc
need busybox busybox-static
need openssl openssl
need curl curl
need jq jq
need bpftool bpftool
need unzip unzip
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "kubernetes: these Debian packages are missing: apt-get install$missing" >&2; exit 1; }
  echo "kubernetes: installing$missing" >&2
  apt-get update -q=2 >/dev/null 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends $missing >/dev/null
fi
[ "$(id -u)" = 0 ] || { echo 'kubernetes: the cluster needs root' >&2; exit 1; }
command -v go >/dev/null && go version | grep -qE 'go1\.(2[4-9]|[3-9][0-9])' || {
  echo 'kubernetes: Go 1.24 or newer is needed to build Kubernetes: https://go.dev/dl' >&2
  exit 1
}
