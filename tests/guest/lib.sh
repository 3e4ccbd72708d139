# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests in this directory:  . "$TARN_ROOT/tests/guest/lib.sh"
set -u

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# check NAME COMMAND...: one counted result; shows the command's output only when it fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok - $name"
    else
        echo "not ok - $name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
}

# refuses NAME ERROR COMMAND...: the command must fail and say ERROR (an extended regular expression).
refuses() {
    local name=$1 message=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        echo "not ok - $name"
        echo "# succeeded, but should have failed: $*"
    elif ! grep -qE -- "$message" <<<"$output"; then
        echo "not ok - $name"
        echo "# failed without saying '$message': $output"
    else
        echo "ok - $name"
    fi
}

# Between these two, what the kernel complains of is wanted.
expect_complaints() { echo 'tarn-guest: expect complaints' >/dev/kmsg; }
expect_no_complaints() { echo 'tarn-guest: expect no complaints' >/dev/kmsg; }

# fresh_tarnfs [DEVICE [DIR [MKFS-OPTION...]]]: a new, mounted tarnfs.
fresh_tarnfs() {
    local device=${1-/dev/pmem0} dir=${2-/mnt}
    shift $(($# < 2 ? $# : 2))
    mkdir -p "$dir"
    mkfs.tarnfs -f "$@" "$device" >mkfs.log 2>&1 || fail "mkfs.tarnfs $device: $(cat mkfs.log)"
    mount -t tarnfs "$device" "$dir" || fail "mount $device"
}

# Unmounts and checks the file system.
check_clean() {
    local device=${1-/dev/pmem0} dir=${2-/mnt}
    umount "$dir" || fail "umount $dir"
    fsck.tarnfs -n "$device" >fsck.log 2>&1 || fail "fsck.tarnfs $device: $(cat fsck.log)"
}

# modprobe for what an out-of-tree test needs; says which kernel lacks it.
need_module() {
    modprobe "$1" 2>/dev/null || skip "kernel $(uname -r) has no module $1"
}
