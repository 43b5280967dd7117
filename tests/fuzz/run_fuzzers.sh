#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Build the fuzzers with clang, libFuzzer, ASan and UBSan, and run one after the other.
#
#   run_fuzzers.sh SOURCE BUILD SECONDS [FUZZER]...
#
# New inputs go to BUILD/found/NAME; an input that breaks a promise is left in BUILD/crash/NAME-*.
set -euo pipefail
source=$1 build=$2 seconds=$3
shift 3
fuzzers=("$@")
((${#fuzzers[@]} > 0)) || fuzzers=(log record store archive text)
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1

if ! command -v clang >/dev/null; then
    echo "fuzzing needs clang (scripts/install-deps test)" >&2
    exit 1
fi
mkdir -p "$build"
cd "$build"
[[ -e config.status ]] || "$source/configure" CC=clang --enable-fuzzers >configure.log
make -s V=0 "${fuzzers[@]/#/tests/fuzz/fuzz_}"

bad=0
for name in "${fuzzers[@]}"; do
    mkdir -p "found/$name" crash
    status=0
    "tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -use_value_profile=1 -max_len=8192 -print_final_stats=1 -artifact_prefix="crash/$name-" \
        "found/$name" "$source/tests/fuzz/corpus/$name" >"$name.log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$name.log")
    covered=$(sed -n 's/^#[0-9]*.*cov: \([0-9]*\) .*/\1/p' "$name.log" | tail -n 1)
    echo "$name: ${runs:-?} runs in $seconds s, ${covered:-?} edges"
    if ((status != 0)); then
        bad=1
        echo "$name: a promise is broken, see $build/$name.log and $build/crash" >&2
        grep -aE 'not so:|runtime error|ERROR: |Test unit written' "$name.log" >&2 || true
    fi
done
exit "$bad"
