#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Build the fuzzers with clang, libFuzzer, ASan and UBSan, and run all at once for as long as gives
# each so many seconds of a processor.
#
#   run_fuzzers.sh SOURCE BUILD SECONDS [FUZZER]...
#
# FUZZ_SEED=N repeats what that seed tried before, as far as time allows: for a run that has to say
# something of a change and not of the dice. Without it each run tries something new.
#
# New inputs go to BUILD/found/NAME; an input that breaks a promise is left in BUILD/crash/NAME-*.
# One TAP line for each.
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

processors=$(nproc)
wall=$((seconds * (${#fuzzers[@]} > processors ? ${#fuzzers[@]} : processors) / processors))
fixed=()
if [[ -n ${FUZZ_SEED-} ]]; then
    # Features are told apart by addresses, too. A container may forbid to fix those.
    setarch -R true 2>/dev/null && fixed=(setarch -R)
fi
# To choose inputs by how rare what they reach is (entropic) took three quarters of fuzz_store's
# time.
pids=()
trap 'kill "${pids[@]}"; exit 1' INT TERM
for name in "${fuzzers[@]}"; do
    mkdir -p "found/$name" crash
    "${fixed[@]}" "tests/fuzz/fuzz_$name" -max_total_time="$wall" -seed="${FUZZ_SEED:-0}" \
        -entropic=0 -use_value_profile=1 -max_len=8192 -print_final_stats=1 \
        -timeout=30 -rss_limit_mb=2048 -reload=0 \
        -artifact_prefix="crash/$name-" \
        "found/$name" "$source/tests/fuzz/corpus/$name" >"$name.log" 2>&1 &
    pids+=($!)
done

bad=0
echo "1..${#fuzzers[@]}"
for i in "${!fuzzers[@]}"; do
    name=${fuzzers[i]}
    status=0
    wait "${pids[i]}" || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$name.log")
    covered=$(sed -n 's/^#[0-9]*.*cov: \([0-9]*\) .*/\1/p' "$name.log" | tail -n 1)
    said="$((i + 1)) - fuzz_$name: ${runs:-no} runs in $seconds s, ${covered:-no} edges"
    if ((status == 0)) && [[ -n $runs ]]; then
        echo "ok $said"
    else
        bad=1
        echo "not ok $said"
        echo "# a promise is broken, see $build/$name.log and $build/crash"
        grep -aE 'not so:|runtime error|ERROR: |Test unit written' "$name.log" |
            sed 's/^/# /' || true
    fi
done
exit "$bad"
