#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mounts what the datapath needs in the node's own mount namespace, through /hostproc: a container of capabilities may
# not mount into the node by propagation. Usage: mount-node.sh bpf DIR | cgroup2 DIR
set -eu
type=$1 dir=$2
in_node() { nsenter --mount=/hostproc/1/ns/mnt --cgroup=/hostproc/1/ns/cgroup "$@"; }
in_node sh -c 'mkdir -p "$2" && { grep -q " $2 $1 " /proc/mounts || mount -t "$1" none "$2"; }' mount "$type" "$dir"
