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
need dig bind9-dnsutils
need nc.openbsd netcat-openbsd
need wget wget
need ping iputils-ping
need tcpdump tcpdump
need ip iproute2
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "kubernetes: these Debian packages are missing: apt-get install$missing" >&2; exit 1; }
  echo "kubernetes: installing$missing" >&2
  apt-get update -q=2 >/dev/null 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends $missing >/dev/null
fi
[ "$(id -u)" = 0 ] || { echo 'kubernetes: the cluster needs root' >&2; exit 1; }
PATH=$PATH:/usr/local/go/bin
case $(go version 2>/dev/null || true) in
  *go1.2[4-9]* | *go1.[3-9][0-9]*) ;;
  *)
    echo "kubernetes: Kubernetes is built with Go 1.24 or newer; here is $(go version 2>/dev/null || echo none)." >&2
    echo 'kubernetes: unpack an archive of https://go.dev/dl into /usr/local, or put a newer go into PATH' >&2
    exit 1
    ;;
esac
