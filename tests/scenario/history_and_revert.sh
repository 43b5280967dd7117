#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# history, show LSN, revert: undoing a commit, refusing when something changed since.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init --history-count 8
newest() { txctl history -q | tail -n 1 | awk '{print $1}'; }
state() {
    find . -path ./.txkit -prune -o -mindepth 1 \
        \( -type d -printf '%P %m\n' -o -printf '%P %y %m %U:%G %T@ %s %l\n' \) | sort
    find . -path ./.txkit -prune -o -type f -exec sha256sum {} + | sort
    txctl reg export / --format json | grep -v write_time
}

txctl exec - <<'END'
mkdir -p a/b
touch a/empty
ln -s empty a/link
reg set K text sz old
reg set K number dword 1
reg create K/below
END
head -c 100000 /dev/urandom >"$area/large"
txctl put "$area/large" a/large
echo short | txctl put - a/short
txctl touch -d @1000 a/large a/short a/b a
before=$(state)

txctl exec - --description 'everything at once' <<'END'
put ../large a/short
truncate -s 10 a/large
rm a/link
ln -s elsewhere a/link
mv a/empty a/b/moved
chmod 600 a/short
mkdir c
put ../large c/new
reg set K text sz new
reg unset K number
reg set L '' sz added
reg delete K/below
END
lsn=$(newest)
same "the commit changed things" test "$(state)" != "$before"
code 0 "show LSN" txctl show "$lsn"
has "names the commit" "$area/out" "description: everything at once"
has "shows files" "$area/out" "R a/empty -> a/b/moved"
lacks "what moved away is not removed besides" "$area/out" "D a/empty"
has "and values" "$area/out" "- [K] text = REG_SZ old"
code 0 "revert" txctl revert "$lsn"
is "prints the LSN of the new commit" "$(cat "$area/out")" "$(newest)"
is "everything is as it was, times too" "$(state)" "$before"
code 0 "history calls it so" txctl history
has "revert" "$area/out" "revert $lsn"
code 0 "revert of the revert" txctl revert "$(newest)"
is "brings it back" "$(txctl reg get K text)" new
same "files, too" cmp a/short "$area/large"

txctl reg set K text sz newer
code 4 "revert of what changed since" txctl revert "$lsn"
has "names it" "$area/err" "K"
is "and changes nothing" "$(txctl reg get K text)" newer

echo v1 | txctl put - file
echo v2 | txctl put - file
lsn=$(newest)
echo foreign >file
code 4 "revert of what an ordinary program changed since" txctl revert "$lsn"
is "keeps its change" "$(cat file)" foreign

txctl reg set Only text sz registry
lsn=$(newest)
code 0 "a commit of the registry alone" txctl revert "$lsn"
code 6 "can be reverted" txctl reg info Only

code 6 "revert of nothing" txctl revert 4096
code 2 "revert of what is no LSN" txctl revert last
code 6 "show of nothing" txctl show 4096

for ((i = 0; i < 12; i++)); do txctl mkdir "many$i"; done
is "the history is bounded" "$(txctl history -q | wc -l)" 8
code 6 "what fell out of it cannot be reverted" txctl revert "$lsn"

lsn=$(newest)
id=$(txctl begin)
code 0 "revert inside a transaction" txctl --tx "$id" revert "$lsn"
same "is not done yet" test -d many11
txctl --tx "$id" mkdir instead
code 0 "but with the commit" txctl commit "$id"
same "together with the rest" test ! -e many11 -a -d instead
code 0 "check" txctl check
finish
