#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The updater of examples/ installs version after version while the power is cut: after each cut the
# tree and the registry are wholly those of the version acknowledged last, or of the next one.
#
# Knobs: POWERCUT_STATES   of each file system (default: 5000, of TXKIT_TEST_SCALE 0.5 on)
#        POWERCUT_NESTED   recoveries that are cut again (default: 12, times TXKIT_TEST_SCALE)
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"
versions=12
states=5000
at_scale 0.5 || states=$(scaled 5000)
states=${POWERCUT_STATES:-$states}
nested=${POWERCUT_NESTED:-$(awk -v scale="${TXKIT_TEST_SCALE:-1}" \
    'BEGIN { print int(12 * scale) }')}
here=$srcdir/tests/powercut
updater=$builddir/examples/updater
state_of=$builddir/tests/kill/state_of

"$here/make_versions.sh" "$area/versions" $versions
txctl init --segment-size 256K "$root" >/dev/null
for ((version = 1; version <= versions; version++)); do
    "$updater" "$root" "$area/versions/$version" "$area/versions/$version.values" >/dev/null
    "$state_of" "$root"
done >"$area/states"
is "the versions differ" "$(sort -u "$area/states" | wc -l)" $versions

setup="mkdir {dir}/app && $TXCTL init --segment-size 256K {dir}/app >/dev/null &&
    $here/install_versions.sh $updater {dir}/app $area/versions 1 1"
check="$here/version_check.sh $state_of {dir}/app $area/states {acks}"

cut() { # WORDS FS OPTION...
    local words=$1 fs=$2 begun=$SECONDS
    shift 2
    acquits "$words" --fs "$fs" "$@" --setup "$setup" --check "$check" \
        -- "$here/install_versions.sh" "$updater" '{dir}/app' "$area/versions" 2 $versions
    echo "# $((SECONDS - begun)) s"
    grep -h 'unjudged: ' "$area/out" | sed 's/^/# /'
    # What the file system itself does not survive says nothing, so it must be rare.
    same "$words: all but a few judged" \
        awk '/ states: / { few = $7 * 20 <= $1 } END { exit !few }' "$area/out"
}

for fs in $file_systems; do
    cut "$fs: $states states of an updater" "$fs" --states "$states"
    if ((nested > 0)); then
        cut "$fs: recovery cut $nested times again" "$fs" --states "$((nested * 2))" \
            --nested "$nested" --seed 2 --recover "$state_of {dir}/app"
    fi
done
finish
