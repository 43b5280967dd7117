# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of `txcrash powercut` share: TAP from the scenarios, and
#
#   acquits WORDS OPTION...    txcrash powercut must find nothing
#   convicts WORDS OPTION...   it must find a violation, and its --replay must find it again
#   scaled N                   N states, as TXKIT_TEST_SCALE says, 20 at least
#
# Skips everything when file systems cannot be mounted here, and one of them when its tools or the
# kernel's part are missing: $file_systems are those that are there.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:?}/tests/scenario/scenario_lib.sh"
txcrash=${builddir:?}/txcrash
export TMPDIR=$area # violations are exported below it
powercut() { "$txcrash" powercut "$@"; }

scaled() { awk -v n="$1" -v scale="${TXKIT_TEST_SCALE:-1}" 'BEGIN {
    n = int(n * scale); print n < 20 ? 20 : n }'; }

file_systems=
for fs in ext4 xfs btrfs; do
    powercut --fs $fs --states 1 --quiet --check true -- sh -c 'echo x >{dir}/x' \
        >"$area/try" 2>&1
    tried=$?
    if [[ $tried == 77 ]]; then
        number=$((number + 1))
        echo "ok $number - $fs # SKIP $(tail -n 1 "$area/try")"
    else
        # Anything else that is wrong shows in the tests.
        file_systems+=" $fs"
    fi
done
if [[ -z $file_systems ]]; then
    echo "1..$number"
    exit 0
fi

acquits() {
    local words=$1
    shift
    code 0 "$words" powercut "$@"
    grep -h ' states: ' "$area/out" | sed 's/^/# /'
}

convicts() {
    local words=$1 again
    shift
    code 1 "$words" powercut "$@"
    grep -h ' states: ' "$area/out" | sed 's/^/# /'
    again=$(sed -n 's/^  again: txcrash powercut --replay //p' "$area/out" | head -n 1)
    if [[ -z $again ]]; then
        result no "$words: says how to see it again"
        explain "$(cat "$area/out" "$area/err")"
        return
    fi
    code 1 "$words: again" powercut --replay "$again"
    has "$words: again a violation" "$area/out" "1 states: 0 fine, 1 violations"
    rm -rf "$area"/txcrash-*
}
