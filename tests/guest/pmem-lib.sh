# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the tests of tarn_pmem:  . "$TARN_ROOT/tests/guest/pmem-lib.sh"
. "$TARN_ROOT/tests/guest/lib.sh"

ND=/sys/bus/nd

# driver_of DEVICE: the driver an nd device is bound to, or nothing.
driver_of() {
    [ ! -e "$ND/devices/$1/driver" ] || basename "$(readlink "$ND/devices/$1/driver")"
}

# unbind DEVICE; bind DEVICE DRIVER
unbind() {
    local driver
    driver=$(driver_of "$1")
    [ -z "$driver" ] || echo "$1" >"$ND/drivers/$driver/unbind"
}
bind() {
    echo "$1" >"$ND/drivers/$2/bind"
}

# rebind DEVICE DRIVER
rebind() {
    unbind "$1"
    bind "$1" "$2"
}

# block_of DEVICE: the name of its disk (pmem0).
block_of() {
    ls "$ND/devices/$1/block"
}

# region_of NAMESPACE: its region's number.
region_of() {
    local region=${1#namespace}
    echo "${region%.*}"
}

# pfn_of REGION-NUMBER: the fsdax device that is bound in a region (pfn0.1).
pfn_of() {
    local pfn
    for pfn in "$ND"/devices/pfn"$1".*; do
        [ ! -e "$pfn/driver" ] || basename "$pfn"
    done
}

# namespace_of PROVIDER: the first namespace of a bus (ACPI.NFIT, e820, virtio-pmem).
namespace_of() {
    local bus
    for bus in "$ND"/devices/ndbus*; do
        [ "$(cat "$bus/provider")" = "$1" ] || continue
        basename "$(echo "$bus"/region*/namespace*.0 | cut -d' ' -f1)"
        return
    done
}

# Lines of the kernel's log since the last call of mark_log.
mark_log() { echo "pmem-test: mark $((++mark))" >/dev/kmsg; }
log_since_mark() { dmesg | sed "1,/pmem-test: mark $mark\$/d"; }
mark=0

# logged PATTERN: has the kernel said so since mark_log?
logged() {
    log_since_mark | grep -qE -- "$1" || { log_since_mark; return 1; }
}

# refuses_bind NAME DEVICE ERROR LOG-PATTERN: binding fails with this error and says why.
refuses_bind() {
    mark_log
    refuses "$1: refused with $3" "$3" bind "$2" tarn_pmem
    check "$1: the kernel's log says why" logged "$4"
}

# same A B: for check.
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }

# mounts_dax FS DEVICE: makes a file system and mounts it on /mnt with direct access. (XFS mounts without it, too, when the
# device has none, and says so in /proc/mounts.)
mounts_dax() {
    case $1 in
    ext4) mkfs.ext4 -q -F -b 4096 "$2" ;;
    xfs) mkfs.xfs -q -f "$2" ;;
    esac || return 1
    mkdir -p /mnt
    mount -t "$1" -o dax=always "$2" /mnt || { dmesg | tail -3; return 1; }
    grep " /mnt .*dax=always" /proc/mounts || { grep /mnt /proc/mounts; return 1; }
}
