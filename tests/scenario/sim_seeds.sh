#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# txcrash sim: many histories without a violation, no kind of fault that never happened, the same
# history again from the same seed, and a lie of the disk that must be found.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txcrash=${builddir:-.}/txcrash
sim() { "$txcrash" sim "$@"; }

# Each kind of fault by itself, with cuts and kills; then with everything at once: 100,000 in all
# (tests/sim/README.md says what they do not judge). The same seeds on every machine; further ones
# are for `make sim-soak`.
# Under the sanitizers ten histories take a second, where they are 250 otherwise.
count=$(awk -v scale="${TXKIT_TEST_SCALE:-1}" -v share="${TXKIT_SANITIZERS:+0.16}" \
    'BEGIN { n = 2500 * (scale < 0.5 ? scale : 1) * (share ? share : 1)
             print n < 20 ? 20 : int(n) }')
few=$((count < 100 ? count : 200))
kinds="read-error write-error late-error short flip stale sync-keeps sync-reverts sync-late space
    files lock memory clock"
for kind in none $kinds; do
    others=$(printf '%s\n' $kinds | grep -vx -e "$kind" | paste -sd,)
    code 0 "$count histories with cuts, kills and $kind" sim --count "$count" --without "$others"
done
all=$((count * 25))
code 0 "$all histories with everything" sim --count "$all"
cp "$area/out" "$area/all"

# Every line between "power cuts" and "changes between threads" counts something that must happen.
never() { # the names of the totals that are 0
    sed -n 's/^ *0  *\([a-z].*\)$/\1/p' "$1" | grep -v '^commits lost'
}
is "no kind of fault and of event that never happened" "$(never "$area/all")" ""
same "and a count that is printed" grep -qE '^ +[1-9][0-9]* +power cuts' "$area/all"

hash_of() { sed -n 's/^  trace hash[: ]*//p' "$area/out"; }
code 0 "some of them again" sim --seeds "101-$((100 + few))" --jobs 1
first=$(hash_of)
code 0 "and again, in another order" sim --seeds "101-$((100 + few))" --jobs 3
is "the same seeds are the same calls with the same answers" "$(hash_of)" "$first"
code 0 "other seeds" sim --seeds "301-$((300 + few))"
others=$(hash_of)
same "are others" test "$others" != "$first"

for profile in weakest ext4 xfs btrfs; do
    code 0 "on a disk like $profile" sim --count $few --profile $profile
done
code 0 "a history of one process and one thread, told" sim --seed 5 --processes 1 --threads 1
has "says what happened" "$area/out" "the machine is switched on"
has "call by call" "$area/out" "pwritev /r/.txkit/log/"

# The canary: who does not find this finds nothing.
code 1 "syncs of the log that do nothing are found" sim --count 60 --lie
has "as what they are" "$area/out" "violation"
again=$(sed -n 's/^  again: txcrash //p' "$area/out" | head -n 1)
# shellcheck disable=SC2086
code 1 "and the command that was printed shows it again" "$txcrash" $again --quiet

code 0 "a report as JSON" sim --count 20 --quiet --json "$area/report.json"
is "and nothing else" "$(cat "$area/out")" ""
has "which says what it is" "$area/report.json" '"sim"'
code 0 "seeds from one on" sim --seed 301 --count "$few"
is "are those of the range" "$(hash_of)" "$others"
code 2 "seeds in the wrong order" sim --seeds 5-4
code 2 "seeds said twice" sim --seeds 5-6 --count 2
code 2 "seeds beyond the last number" sim --seed 18446744073709551615 --count 2
code 2 "no such profile" sim --profile fat
code 2 "no such fault" sim --without rain
code 2 "a word too many" sim now
finish
