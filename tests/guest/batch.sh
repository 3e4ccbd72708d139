# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Runs tests one after the other in a guest; tests/guest/run writes the calls and reads the lines that begin with @@.

# run_test NAME SECONDS
run_test() {
    local name=$1 limit=$2 status dir
    dir=$(mktemp -d "/tmp/$name.XXXXXX")
    echo "tarn-guest: test $name begins" >/dev/kmsg
    echo "@@ begin $name"
    (cd "$dir" && exec timeout -k 5 "$limit" bash "$TARN_ROOT/tests/guest/$name.test" 2>&1)
    status=$?
    [ $status != 137 ] || status=124
    clean_up
    echo "tarn-guest: test $name ended" >/dev/kmsg
    echo "@@ end $name $status $SECONDS"
    rm -rf "$dir"
}

# What a test leaves behind must not disturb the next: its mounts, its loop devices, its background jobs.
clean_up() {
    local pid
    for pid in $(jobs -p); do
        kill -9 "$pid" 2>/dev/null
    done
    tac /proc/mounts | while read -r _ where type _; do
        case $type in
        tarnfs | ext4 | xfs) umount "$where" 2>/dev/null || { /run/tarn/bin/fuser -km "$where" >/dev/null 2>&1 && umount "$where"; } ;;
        esac
    done
}
