#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes our CNI configuration from the node, and gives back those that were put aside. The plugin stays: pods that still
# run are deleted through it.
set -eu
dir=${1:-/host/etc/cni/net.d}
rm -f "$dir/05-cilium.conflist" "$dir/05-cilium.conf"
for put_aside in "$dir"/*.cilium_bak; do
  [ -e "$put_aside" ] || continue
  mv -f "$put_aside" "${put_aside%.cilium_bak}"
done
