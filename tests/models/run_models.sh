#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every protocol model searched to its end, then every mutant of it, which must be convicted.
#
#   run_models.sh [MODEL]...      all, or those named: group_commit ...
#
# A model is NAME.pml beside this script; its mutants are the MUTANT_ words in it.
set -uo pipefail
source=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/models
models=("$@")
((${#models[@]} > 0)) || models=(group_commit recovery trim publish locks)
cc=${CC:-cc}
number=0
failed=0

if ! command -v spin >/dev/null; then
    echo "1..0 # SKIP spin is not installed (scripts/install-deps test)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# search NAME [-DMUTANT_X]: build the verifier and run it; leaves its report in $work/out.
# A mutant is convicted after a few states: there the compiler is what takes the time.
search() {
    local name=$1 level=-O2
    shift
    (($# == 0)) || level=-O0
    rm -f "$work"/pan* "$work"/*.trail
    (cd "$work" && spin "$@" -a "$source/$name.pml") >"$work/spin" 2>&1 || return 2
    (cd "$work" && "$cc" "$level" -w -DSAFETY -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c) \
        >"$work/cc" 2>&1 || return 2
    (cd "$work" && timeout 200 ./pan -m1000000 -w24) >"$work/out" 2>&1
    if grep -q 'errors: 0' "$work/out" &&
        ! grep -qE 'max search depth|out of memory' "$work/out"; then
        return 0
    fi
    grep -qE 'assertion violated|invalid end state' "$work/out" && return 1
    return 2
}

report() {
    number=$((number + 1))
    if [[ $1 == 1 ]]; then
        echo "ok $number - $2"
    else
        failed=1
        echo "not ok $number - $2"
        sed 's/^/# /' "$work/spin" "$work/cc" "$work/out" 2>/dev/null | head -n 40
    fi
}

for name in "${models[@]}"; do
    began=$SECONDS
    search "$name"
    status=$?
    states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/out")
    report $((status == 0)) "$name: nothing is violated in ${states:-no} states"
    echo "# $name: $((SECONDS - began)) s"
    mapfile -t mutants < <(grep -o 'MUTANT_[A-Z_]*' "$source/$name.pml" | sort -u)
    if ((${#mutants[@]} < 4)); then
        report 0 "$name has ${#mutants[@]} mutants"
    fi
    for mutant in "${mutants[@]}"; do
        search "$name" "-D$mutant"
        status=$?
        report $((status == 1)) "$name: $mutant is convicted"
    done
done
echo "1..$number"
exit "$failed"
