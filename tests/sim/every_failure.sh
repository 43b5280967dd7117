#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each operation of each workload fails with each errno, each allocation fails, each write to a
# sealed file goes elsewhere; whatever the library answers has to be true (sim_crash --faults,
# --memory, --astray). From a scale of a half on that is all of them, below a share.
set -uo pipefail
scale=${TXKIT_TEST_SCALE:-1}
number=0

# try SHARE OPTION WORDS
try() {
    local share=$1 option=$2 words=$3 log
    number=$((number + 1))
    share=$(awk -v scale="$scale" -v share="$1" 'BEGIN { print scale < 0.5 ? scale * share : 1 }')
    log=$(TXKIT_TEST_SCALE=$share "$builddir/tests/sim/sim_crash" "$option" 2>&1)
    if (($? == 0)); then
        echo "ok $number - $words: $(tail -n 1 <<<"$log")"
    else
        echo "not ok $number - $words: $(tail -n 1 <<<"$log")"
        grep -v ' 0 violations$' <<<"$log" | head -n 60 | sed 's/^/# /'
        failed=1
    fi
}

failed=0
echo 1..3
try 0.2 --faults "every operation fails with every errno"
try 0.5 --memory "every allocation fails"
try 1 --astray "every write goes astray"
exit "$failed"
