#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A store on a real 8 MiB ext4: it fills up, refuses cleanly, recovers, and gives space back.
set -euo pipefail
: "${builddir:?}"

if [ "$(id -u)" != 0 ] || ! [ -e /dev/loop-control ]; then
    echo "ok 1 - # SKIP needs root and loop devices"
    echo "1..1"
    exit 0
fi
# In a mount namespace of its own, so that nothing stays mounted whatever happens here; the loop
# device is detached by the kernel when its last mount goes.
if [ -z "${FULL_DISK_INSIDE:-}" ]; then
    FULL_DISK_INSIDE=1 exec unshare --mount -- bash "$0"
fi
area=$(mktemp -d)
trap 'umount "$area/mount" 2>/dev/null; rm -rf "$area"' EXIT
mkdir "$area/mount"
truncate -s 8M "$area/disk"
mkfs.ext4 -q -m 0 -F "$area/disk"
mount -o loop "$area/disk" "$area/mount"
mkdir "$area/mount/root"
"$builddir/tests/soak/fill_disk" "$area/mount/root"
