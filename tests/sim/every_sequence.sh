#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# All sequences of one and two operations on files with four names and keys with three, and drawn
# ones of three, cut at every point (sim_crash --sequences).
set -uo pipefail
log=$("$builddir/tests/sim/sim_crash" --sequences 2>&1)
status=$?
echo 1..1
sed 's/^/# /' <<<"$log"
if ((status != 0)); then
    echo "not ok 1 - whatever is left of any sequence becomes one of its states"
    exit 1
fi
echo "ok 1 - whatever is left of any sequence becomes one of its states"
