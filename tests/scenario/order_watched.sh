#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The scenarios that one process after the other goes through, once more under the order monitor:
# no effect before its force, no name before its sync, no trim before control (tests/sim/order.h).
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1

export TXKIT_ORDER_CHECKS=$area/checks
watched=${builddir:-.}/tests/scenario/txctl_watched
for name in store_and_settings files_and_contents links_and_attributes registry_values \
    scripts_with_exec history_and_revert import_and_apply detached_transactions \
    prepared_transactions; do
    : >"$area/checks"
    code 0 "$name, watched" env TXCTL="$watched" bash "$srcdir/tests/scenario/$name.sh"
    checks=$(awk '{ sum += $1 } END { print sum + 0 }' "$area/checks")
    same "$name: $checks orders were checked" test "$checks" -gt 50
done

# The canary: a monitor that sees no sync has to complain of the first commit.
TXCTL=$watched
txctl init >"$area/out"
echo a >"$area/text"
TXKIT_ORDER_BLIND=1 code 99 "a commit whose syncs are not seen is a violation" \
    txctl put "$area/text" a
has "which is told" "$area/err" "order: "
finish
