#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# First process of a guest: loads modules, puts a writable layer over the host's files, runs the job there, powers off.
# Two shares of the host: `host` is its root, read-only; `job` holds the command and takes the status.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

cd /modules
while read -r module; do
  case $module in *.xz) xz -d "$module"; module=${module%.xz} ;; esac
  insmod "$module" || echo "guest: $module does not load" >/dev/console
done <order
cd /

share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2"; }
give_up() { echo "guest: $1" >/dev/console; poweroff -f; }
mkdir /host /job /layer /new
share host /host ro,cache=loose || give_up 'the share of the host is missing'
share job /job rw,cache=none || give_up 'the share of the job is missing'
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /new || give_up 'no overlay'

for kind in proc sysfs:sys devtmpfs:dev tmpfs:run tmpfs:tmp; do mount -t "${kind%:*}" guest "/new/${kind#*:}"; done
mount -t bpf bpf /new/sys/fs/bpf
# Where the machines of this project have it: beside the old hierarchies, of which there are none here.
mount -t tmpfs cgroup /new/sys/fs/cgroup
mkdir -p /new/sys/fs/cgroup/unified /new/run/netns /new/dev/shm /new/dev/pts /new/job
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup/unified
mount -t devpts devpts /new/dev/pts
mount -o bind /job /new/job
# A project below /tmp went with it.
read -r project </job/project
if [ ! -d "/new$project" ]; then
  mkdir -p "/new$project" /layer/project /layer/project-work
  mount -t overlay -o "lowerdir=/host$project,upperdir=/layer/project,workdir=/layer/project-work" project "/new$project"
fi
ip link set lo up
hostname guest

# A serial line changes what it carries unless told not to.
stty -F /dev/ttyS1 raw -echo
chroot /new /bin/bash /job/command >/dev/ttyS1 2>&1 </dev/null
echo $? >/job/status
sync
sleep 0.2
poweroff -f
