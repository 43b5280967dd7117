#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Versions of a small application as trees, with a manifest of registry values each:
#
#     make_versions.sh DIRECTORY COUNT
#
# makes DIRECTORY/1, DIRECTORY/1.values, ... Every version replaces files, adds some, removes some,
# moves links, and turns a directory into a file and back; the same arguments give the same trees.
set -euo pipefail
target=$1
count=$2

lines() { # FROM COUNT: text of a size of its own
    seq "$1" $(($1 + $2 - 1))
}

make_version() {
    local version=$1 tree=$target/$1 i
    mkdir -p "$tree/bin" "$tree/lib" "$tree/share/doc" "$tree/etc"
    lines "$((version * 7))" 4000 >"$tree/bin/app"
    chmod 755 "$tree/bin/app"
    lines 1 3000 >"$tree/lib/libapp.so.$version"
    ln -s "libapp.so.$version" "$tree/lib/libapp.so"
    ln "$tree/bin/app" "$tree/bin/app-$((version % 3))"
    for ((i = 1; i <= 20; i++)); do
        # Half of the pages change with each version.
        lines "$((i * 100 + (i + version) % 2 * version))" "$((i * 12))" \
            >"$tree/share/doc/page$i.txt"
    done
    lines "$version" 10 >"$tree/share/doc/news$((version % 4)).txt"
    printf 'version=%s\n' "$version" >"$tree/etc/app.conf"
    chmod $((600 + version % 2 * 44)) "$tree/etc/app.conf"
    if ((version % 2)); then
        mkdir -p "$tree/share/plugins/extra"
        lines "$version" 50 >"$tree/share/plugins/extra/plugin$version"
    else
        lines "$version" 20 >"$tree/share/plugins"
    fi
    find "$tree" -exec touch -h -d "@$((1600000000 + version))" {} +
    printf 'Software\\App\tVersion\tsz\t%s\nSoftware\\App\tBuild\tdword\t%s\n' \
        "$version" "$((version * 1000))" >"$target/$version.values"
    printf 'Software\\App\\Part%s\tSince\tqword\t%s\n' "$((version % 3))" "$version" \
        >>"$target/$version.values"
}

for ((version = 1; version <= count; version++)); do
    make_version "$version"
done
