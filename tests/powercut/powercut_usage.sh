#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a user of `txcrash powercut` meets besides a verdict: exit codes, words, nothing left behind.
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"
fs=${file_systems# }
fs=${fs%% *}

code 2 "no file system" powercut --check true -- true
has "says so" "$area/err" "--fs is missing"
code 2 "no check" powercut --fs "$fs" -- true
code 2 "no program" powercut --fs "$fs" --check true
code 2 "an unknown file system" powercut --fs fat --check true -- true
code 2 "an unknown option" powercut --fs "$fs" --check true --cut 3 -- true
code 2 "a number that is none" powercut --fs "$fs" --check true --states many -- true
code 2 "cuts inside a recovery that is not there" \
    powercut --fs "$fs" --check true --nested 3 -- true
code 2 "a TMPDIR that a shell would split" \
    env TMPDIR="$area/with blank" "$txcrash" powercut --fs "$fs" --check true -- true
has "is refused with a reason" "$area/err" "TMPDIR must be"
code 0 "help" "$txcrash" help powercut
has "names the acknowledgements" "$area/out" 'TXCRASH_ACK'

code 1 "a program that fails by itself" powercut --fs "$fs" --check true -- sh -c 'echo why; exit 3'
has "is no verdict" "$area/err" 'failed without any cut'
code 1 "a setup that fails" powercut --fs "$fs" --setup 'echo why; false' --check true -- true
code 1 "a check that refuses everything" powercut --fs "$fs" --check 'echo never; false' \
    -- sh -c 'echo x >{dir}/x'
has "is told from a program that loses something" "$area/err" \
    'the check refuses what the program leaves when nothing is lost'
code 1 "a check that takes too long" powercut --fs "$fs" --timeout 1 --check 'sleep 100' \
    -- sh -c 'echo x >{dir}/x'
has "is ended" "$area/out" 'took too long'

# A check that leaves a process in the directory: it is ended with the check.
code 0 "a check with a process in the background" powercut --fs "$fs" --states 5 \
    --check 'cd {dir} && sleep 100 & true' -- sh -c 'echo x >{dir}/x'

# Programs see that the machine has started anew.
code 0 "each state is a new start of the system" powercut --fs "$fs" --states 5 \
    --check "! cmp -s /proc/sys/kernel/random/boot_id {dir}/boot_id" \
    -- sh -c 'cat /proc/sys/kernel/random/boot_id >{dir}/boot_id'

# The report.
code 1 "a conviction" powercut --fs "$fs" --states 40 --keep "$area/kept" \
    --check 'test "$(cat {dir}/x)" = "$(tail -n 1 {acks})"' \
    -- sh -c 'for i in 1 2 3; do echo $i >{dir}/x; echo $i >>$TXCRASH_ACK; done'
has "tells the events" "$area/out" "acknowledgements"
is "the violation is a directory with an image" \
    "$(ls "$area/kept/violation-1")" "$(printf '%s\n' acks check choice fs image message recover)"

code 0 "a report as JSON and as a page" powercut --fs "$fs" --states 5 --quiet \
    --json "$area/report.json" --html "$area/report.html" --check true -- sh -c 'echo x >{dir}/x'
is "and no text" "$(cat "$area/out")" ""
has "JSON" "$area/report.json" '"powercut"'
has "a page" "$area/report.html" '</html>'

# Whatever ends it, nothing stays: no mount, no loop device, no process, no directory.
start_long() { # sets pid and first, the first process of its laboratory
    rm -f "$area/started"
    "$txcrash" powercut --fs "$fs" --check true -- \
        sh -c 'echo started >"$1"; sleep 1000' sh "$area/started" &
    pid=$!
    until [[ -s $area/started ]] || [[ ! -e /proc/$pid ]]; do :; done
    first=$(tr -d ' ' </proc/$pid/task/$pid/children)
    has "it runs" "$area/started" started
}
ended() { # WORDS: the laboratory goes with its first process; the kernel may need a moment
    timeout 60 tail --pid="${first:-0}" -f /dev/null
    is "$1" $? 0
}
start_long
kill -TERM $pid
wait $pid
is "ends like the signal that ended it" $? 143
is "its directory is gone" "$(find "$area" -maxdepth 1 -name 'txcrash.*')" ""
ended "its processes are gone"
start_long
kill -KILL $pid
wait $pid
ended "its processes go even when it is killed"
lacks "its mounts were nobody's else" /proc/self/mountinfo "$area"
is "no loop device is left on its disk" "$(cat /sys/block/loop*/loop/backing_file 2>/dev/null |
    grep -F "$area" || true)" ""

cp "$txcrash" "$area/txcrash"
chmod 755 "$area" "$area/txcrash"
code 77 "a user who may not" setpriv --reuid=65534 --clear-groups \
    "$area/txcrash" powercut --fs "$fs" --check true -- true
has "is told why" "$area/err" "not possible here: needs root"
finish
