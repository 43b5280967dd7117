#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A store that another process keeps: --lock-timeout, exit code 7.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
mkfifo "$area/fifo"
"$tools/hold_lock" .txkit <"$area/fifo" >"$area/held" &
holder=$!
exec 3>"$area/fifo"
for ((i = 0; i < 200; i++)); do
    [[ -s "$area/held" ]] && break
    sleep 0.05
done
seconds=$SECONDS
code 7 "busy for longer than --lock-timeout" txctl --lock-timeout 0.3 ls
has "says who" "$area/err" "another process"
has "and what to try" "$area/err" "try:"
same "does not wait much longer" test $((SECONDS - seconds)) -lt 10
code 7 "for changes, too" txctl --lock-timeout 0.1 mkdir dir
same "nothing was changed" test ! -e dir
code 7 "no time at all" txctl --lock-timeout 0 ls
code 2 "a timeout that is none" txctl --lock-timeout soon ls
(
    sleep 0.5
    kill "$holder"
) &
code 0 "who waits long enough gets it" txctl --lock-timeout 60 mkdir dir
same "and does its work" test -d dir
exec 3>&-
finish
