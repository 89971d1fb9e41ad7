#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts the CNI plugin onto the node, in one step: a pod that starts meanwhile finds the old one or the new one.
set -eu
to=${1:-/host/opt/cni/bin}
cp /opt/cilium/build/cilium-cni "$to/.cilium-cni.new"
chmod 0755 "$to/.cilium-cni.new"
mv -f "$to/.cilium-cni.new" "$to/cilium-cni"
