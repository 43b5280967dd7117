#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every tree that a cut leaves on a real ext4, xfs and btrfs is one that the simulator allows, by the
# profile of that file system (T6b): else what it proves would be worth less. conform.c says how.
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"
conform=$builddir/tests/powercut/conform

first=${CONFORMANCE_SEED:-1}
count=${CONFORMANCE_COUNT:-2}
for fs in $file_systems; do
    for ((seed = first; seed < first + count; seed++)); do
        acquits "$fs: seed $seed" --fs "$fs" --states "$(scaled 100)" --seed "$seed" \
            --check "$conform check {dir} $seed {acks} $fs" -- "$conform" run '{dir}' "$seed"
    done
done

# Who allows nothing more than the truth finds a tree that is not of these operations.
convicts "another sequence" --fs "${file_systems##* }" --states 20 \
    --check "$conform check {dir} 2 {acks}" -- "$conform" run '{dir}' 1
finish
