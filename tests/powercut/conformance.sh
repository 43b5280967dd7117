#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every tree that a cut leaves on a real ext4, xfs and btrfs is one that the simulator's weakest
# disk may leave (FAULTS.md, T6b): else what it proves would be worth less. conform.c says how.
# CONFORMANCE_SEED and CONFORMANCE_COUNT choose the sequences; `make powercut-soak' takes 40.
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"
conform=$builddir/tests/powercut/conform

first=${CONFORMANCE_SEED:-1}
count=${CONFORMANCE_COUNT:-2}
for fs in $file_systems; do
    for ((seed = first; seed < first + count; seed++)); do
        acquits "$fs: sequence $seed" --fs "$fs" --states "$(scaled 100)" --seed "$seed" \
            --setup 'mkdir {dir}/w' --check "$conform check {dir}/w $seed {acks}" \
            -- "$conform" run '{dir}/w' "$seed"
    done
done

# The canary: a tree that comes from other operations is not allowed.
code 1 "another sequence" powercut --fs "${file_systems##* }" --states 20 \
    --setup 'mkdir {dir}/w' --check "$conform check {dir}/w 2 {acks}" -- "$conform" run '{dir}/w' 1
has "is not what the simulator allows" "$area/out" "the simulator is too kind"
finish
