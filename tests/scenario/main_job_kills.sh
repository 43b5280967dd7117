#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job, killed before its system calls: at a sample of them, and from a TXKIT_TEST_SCALE of
# 4 on (`make soak') before each that changes something for tzdata; of git always at a sample.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:?}/tests/scenario/scenario_lib.sh"
set -o pipefail

# killed WORDS KILLS PACKAGE
killed() {
    if "$srcdir/scripts/main-job" --kills "$2" "${builddir:?}" "$3" 2>&1 | sed 's/^/# /'; then
        result yes "$1"
    else
        result no "$1"
    fi
}

share() {
    awk -v scale="${TXKIT_TEST_SCALE:-1}" -v all="$1" 'BEGIN { print int(all * scale + 0.5) }'
}

if at_scale 4; then
    killed "tzdata killed at every system call" all tzdata
else
    killed "tzdata killed at a sample of its system calls" "$(share 250)" tzdata
fi
if at_scale 1; then
    killed "git killed at a sample of its system calls" "$(share 30)" git
fi
finish
