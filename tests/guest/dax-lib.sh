# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the dax-*.test:  . "$TARN_ROOT/tests/guest/dax-lib.sh"
. "$TARN_ROOT/tests/guest/lib.sh"

mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug || fail "no debugfs"

# dax GROUP: runs a group's cases (tests/guest/dax) on the tarnfs at /mnt; they print their results.
dax() {
    local program=${TARN_BUILD:-$TARN_ROOT/build}/guest/programs/dax
    [ -x "$program" ] || fail "no $program: make guest-programs"
    "$program" "$@"
}
