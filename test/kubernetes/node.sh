#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine of the test cluster: namespaces of its own, a cgroup of its own in every hierarchy as its root, and a root
# file system that is this one with a layer on top. All of it ends with the process that `start` leaves behind.
#   node.sh start CLUSTER/NAME DIR             makes it; returns only when it ends
#   node.sh enter CLUSTER/NAME PID PROGRAM…    runs a program in it
set -euo pipefail
what=$1
name=$2
shift 2
cgroups=/sys/fs/cgroup

# Joins the group of the machine, or with an argument one below it.
join_cgroups() {
  local c d group=$name${1:+/$1}
  for c in "$cgroups"/*/; do
    [ -e "$c/cgroup.procs" ] && [ ! -L "${c%/}" ] || continue
    mkdir -p "$c/cilium-kubernetes/$group"
    if [ -e "$c/cpuset.cpus" ]; then # a new group of this hierarchy may use nothing until told
      for d in "$c/cilium-kubernetes" "$c/cilium-kubernetes/${name%/*}" "$c/cilium-kubernetes/$name" "$c/cilium-kubernetes/$group"; do
        [ -n "$(cat "$d/cpuset.cpus")" ] || cat "$c/cpuset.cpus" >"$d/cpuset.cpus"
        [ -n "$(cat "$d/cpuset.mems")" ] || cat "$c/cpuset.mems" >"$d/cpuset.mems"
      done
    fi
    echo $$ >"$c/cilium-kubernetes/$group/cgroup.procs"
  done
}

case $what in
  start)
    join_cgroups
    exec unshare --mount --propagation private --pid --net --uts --ipc --cgroup --fork --kill-child \
      "$0" init "$name" "$1"
    ;;
  enter)
    # As with systemd: what belongs to the machine shares one group's part of the CPU, and pods have theirs beside it.
    join_cgroups system
    pid=$1
    shift
    exec nsenter --target "$pid" --all -- "$@"
    ;;
  init)
    dir=$1
    root=$dir/root
    hostname "${name##*/}"
    mkdir -p "$dir"/{upper,work,root,containerd,kubelet}
    mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" node "$root"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t tmpfs -o mode=755 run "$root/run"
    mount -t tmpfs -o mode=755 cgroup "$root/sys/fs/cgroup"
    while read -r _ _ _ _ _ _ rest; do # the same hierarchies; what is mounted now begins at our group
      set -- ${rest#*- }
      type=$1 options=${3:-}
      case $type in
        cgroup2) at=unified options= ;;
        cgroup) at=$(echo "$options" | tr , '\n' | grep -vxE 'rw|xattr|relatime' | paste -sd,) ;;
        *) continue ;;
      esac
      mkdir -p "$root/sys/fs/cgroup/${at#name=}"
      mount -t "$type" ${at:+-o "${options:+$at}"} cgroup "$root/sys/fs/cgroup/${at#name=}" 2>/dev/null ||
        mount -t "$type" cgroup "$root/sys/fs/cgroup/${at#name=}"
    done < <(grep -E ' - cgroup2? ' /proc/self/mountinfo)
    mount -t bpf bpf "$root/sys/fs/bpf"
    mkdir -p "$root"/{var/lib/containerd,var/lib/kubelet,run/lock,run/netns,.old}
    # The layer of a container can not lie on the layer of the node.
    mount --bind "$dir/containerd" "$root/var/lib/containerd"
    mount --bind "$dir/kubelet" "$root/var/lib/kubelet"
    cd "$root"
    pivot_root . .old
    umount -l /.old
    rmdir /.old
    # Mounts of pods travel between containers of this node, and to no other.
    mount --make-rshared /
    ip link set lo up
    echo ready >/run/node
    sleep infinity &
    while :; do wait || true; done
    ;;
  *)
    echo "node.sh: no such command: $what" >&2
    exit 2
    ;;
esac
