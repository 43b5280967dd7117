#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job, killed before each of its system calls (tzdata) and at a sample of them (git).
# A smaller TXKIT_TEST_SCALE samples tzdata too, a larger one takes more of git.
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
if awk -v scale="$scale" 'BEGIN { exit !(scale >= 1) }'; then
    git_kills=$(awk -v scale="$scale" 'BEGIN { print int(300 * scale) }')
    run "tzdata killed at every system call" --kills all "$builddir" tzdata
    run "git killed at a sample of its system calls" --kills "$git_kills" "$builddir" git
else
    run "tzdata killed at a sample of its system calls" --kills 100 "$builddir" tzdata
fi
echo "1..$number"
