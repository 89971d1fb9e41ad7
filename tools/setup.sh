#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building and running needs on Debian 12, only what is missing: Debian packages, then node_modules.
# Says nothing when nothing is missing.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }
missing=
# need PACKAGE TEST…: the package is wanted unless the test succeeds.
need() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has() { command -v "$1"; }
header() { [ -e "/usr/include/$1" ] || [ -e "/usr/include/$(uname -m)-linux-gnu/$1" ]; }
library() { ldconfig -p | grep -q "$1"; }

need npm has npm
need clang-19 has clang-19
need gcc has gcc
need libc6-dev header stdio.h
need linux-libc-dev header linux/bpf.h
need make has make
need libbpf1 library libbpf.so.1
need libbpf-dev header bpf/bpf_helpers.h
need libelf1 library libelf.so.1
need iproute2 has ip
need procps has sysctl
need util-linux has nsenter
need curl has curl
need unzip has unzip
need bind9-dnsutils has dig
need ca-certificates [ -e /etc/ssl/certs/ca-certificates.crt ]

if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { say "these Debian packages are missing, and only root may install them: apt-get install$missing"; exit 1; }
  has apt-get >/dev/null || { say "these programs are missing, and this is no Debian: install by hand what these packages hold:$missing"; exit 1; }
  apt-get update -q=2 >/dev/null 2>&1 || true
  say "installing$missing"
  out=$(DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends $missing 2>&1) || { echo "$out" >&2; exit 1; }
fi

# A stock Envoy for L7 rules; everything else works without.
[ -x "$(tools/envoy.sh --cached 2>/dev/null)" ] || {
  say 'fetching Envoy'
  tools/envoy.sh >/dev/null || say 'there is no Envoy: policies with L7 rules will stay closed'
}

# npm of any age will do: the project brings its own Node. Not `npm ci`: it refuses locks that name optional packages of
# other platforms which the registry lacks.
if [ ! -x node_modules/.bin/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say 'installing node_modules'
  out=$(npm install --no-save --no-audit --no-fund --loglevel=error 2>&1) || { echo "$out" >&2; exit 1; }
fi
