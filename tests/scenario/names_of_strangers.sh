#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Names with newlines, escape sequences and bytes that are no UTF-8: kept exactly, shown safely.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
newline=$'new\nline'
escape=$'\e[31mred\e]0;title\a'
bytes=$'\xff\xfe bytes'
turned=$'abc\u202egnp.exe'
blanks=' leading and trailing '
dash='-rf'

for name in "$newline" "$escape" "$bytes" "$turned" "$blanks" "$dash" "'quotes\"" '*' \
    'back\slash'; do
    code 0 "put $(printf %q "$name")" fed "$name" txctl put -- - "$name"
    is "is in the tree" "$(cat -- "$name")" "$name"
    code 0 "cat" txctl cat -- "$name"
    is "gives its content" "$(cat "$area/out")" "$name"
    code 0 "stat" txctl stat -- "$name"
    lacks "shows no escape sequence" "$area/out" $'\e'
    same "and a path on one line" test "$(grep -c '^path: ' "$area/out")" = 1 -a \
        "$(sed -n 2p "$area/out")" = "type: file"
done
code 0 "ls -0" txctl ls -0
same "gives all names exactly" cmp "$area/out" \
    <(find . -mindepth 1 -maxdepth 1 ! -name .txkit -printf '%f\0' | LC_ALL=C sort -z)
code 0 "ls -l" txctl ls -l
lacks "shows no escape sequence" "$area/out" $'\e'
is "and a line per file" "$(wc -l <"$area/out")" 9
has "but bytes" "$area/out" '\xff\xfe bytes'
has "newlines" "$area/out" 'new\x0aline'
has "turns of direction" "$area/out" 'abc\xe2\x80\xaegnp.exe'
has "and backslashes in hexadecimal" "$area/out" 'back\x5cslash'

id=$(txctl begin)
txctl --tx "$id" rm -- "$escape"
txctl --tx "$id" mv -- "$newline" "$newline.moved"
echo x | txctl --tx "$id" put - "$bytes"
code 0 "diff" txctl diff "$id"
grep -aE '^([AMDRT] |--- |[+]{3} )' "$area/out" >"$area/names"
lacks "shows no escape sequence in names" "$area/names" $'\e'
has "names what moved" "$area/out" 'R new\x0aline -> new\x0aline.moved'
code 0 "commit" txctl commit "$id"
same "moved" test -e "$newline.moved" -a ! -e "$escape"
code 6 "an error about such a name" txctl cat "$escape"
lacks "shows no escape sequence" "$area/err" $'\e'
code 0 "history" txctl history
lacks "shows no escape sequence either" "$area/out" $'\e'

code 0 "a description with an escape sequence" txctl begin --description "$escape"
id=$(cat "$area/out")
code 0 "list" txctl list
lacks "shows none" "$area/out" $'\e'
txctl rollback "$id"
code 2 "a description that is no UTF-8" txctl begin --description "$bytes"

code 0 "a key with a newline" txctl reg set $'K\\new\nline' $'va\nlue' sz $'da\nta\e'
code 0 "query" txctl reg query $'K\\new\nline'
lacks "shows no escape sequence" "$area/out" $'\e'
has "and one line per value" "$area/out" '    va\x0alue    REG_SZ    da\x0ata\x1b'
is "get gives it exactly" "$(txctl reg get $'K\\new\nline' $'va\nlue')" $'da\nta\e'
code 1 "a key that is no UTF-8" txctl reg create "$bytes"

# On a terminal names are escaped even where they stand alone.
if command -v script >/dev/null; then
    code 0 "on a terminal" script -qec "'$TXCTL' reg list K" /dev/null
    has "names alone are escaped, too" "$area/out" 'new\x0aline'
fi
code 0 "check" txctl check
finish
