#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The five minutes of README.md, exactly as they stand there: the first updater is convicted, the
# mended one is acquitted. Blocks of shell below its heading run one after the other.
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"

awk -v out="$area/block" '
    /^## / { inside = /^## Test your own updater in five minutes/ }
    inside && /^```sh/ { open = 1; number++; next }
    /^```/ { open = 0 }
    open { print > (out number) }' "$srcdir/README.md"
is "README.md has the blocks" "$(cd "$area" && echo block*)" "block1 block2 block3 block4"

PATH=$builddir:$PATH
cd "$area" || exit 1
run_block() { bash "./block$1"; }
code 0 "the updater and its check are written" run_block 1
code 1 "the updater is convicted" run_block 2
has "with a reason" "$area/out" "violation before event"
code 0 "the updater is mended" run_block 3
code 0 "and acquitted" run_block 4
has "after some states" "$area/out" "0 violations"
finish
