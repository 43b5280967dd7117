#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job, killed before its system calls and done again: at a sample of them, and from a
# TXKIT_TEST_SCALE of 4 on (`make soak') before each of them for tzdata, which takes two processors
# a quarter of an hour, and at thousands of them for git.
set -euo pipefail
: "${builddir:?}" "${srcdir:?}"

number=0
run() { # WORDS ARGUMENT...
    local words=$1
    shift
    number=$((number + 1))
    if "$srcdir/scripts/main-job" "$@" 2>&1 | sed 's/^/# /'; then
        echo "ok $number - $words"
    else
        echo "not ok $number - $words"
    fi
}

scale=${TXKIT_TEST_SCALE:-1}
share() { awk -v scale="$scale" -v all="$1" 'BEGIN { print int(all * scale + 0.5) }'; }
if awk -v scale="$scale" 'BEGIN { exit !(scale >= 4) }'; then
    run "tzdata killed at every system call" --kills all "$builddir" tzdata
else
    run "tzdata killed at a sample of its system calls" --kills "$(share 400)" "$builddir" tzdata
fi
if awk -v scale="$scale" 'BEGIN { exit !(scale >= 1) }'; then
    run "git killed at a sample of its system calls" --kills "$(share 30)" "$builddir" git
fi
echo "1..$number"
