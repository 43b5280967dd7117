#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# prepare, then commit or rollback by id from other processes, also after a kill.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
echo old | txctl put - file
txctl reg set A value sz old
head -c 200000 /dev/urandom >"$area/large"

prepare() { # NAME: a prepared transaction over file, large and registry
    id=$(txctl begin --description "$1")
    echo "$1" | txctl --tx "$id" put - file
    txctl --tx "$id" put "$area/large" large
    txctl --tx "$id" reg set A value sz "$1"
    txctl prepare "$id"
}

code 0 "prepare" prepare first
id=$(txctl list -q | awk '{print $1}')
is "list says that it is in doubt: nobody is alive who prepared it" \
    "$(txctl list -q | awk '{print $2}')" in-doubt
is "nothing is to be seen: files" "$(cat file)" old
is "nor registry" "$(txctl reg get A value)" old
code 0 "diff of a prepared transaction" txctl diff "$id"
has "shows files" "$area/out" "M file"
has "and their text" "$area/out" "+first"
has "and values" "$area/out" "+ [A] value = REG_SZ first"
code 1 "it takes no more changes" txctl --tx "$id" mkdir more
code 4 "who touches the same file conflicts" fed x txctl put - file
has "with that transaction" "$area/err" "$id"
code 4 "and the same value" txctl reg set A value sz other
code 0 "others go on" txctl mkdir other
code 0 "commit by id" txctl commit "$id"
is "files" "$(cat file)" first
same "large ones" cmp large "$area/large"
is "registry" "$(txctl reg get A value)" first
code 6 "again" txctl commit "$id"

prepare second
id=$(txctl list -q | awk '{print $1}')
code 0 "rollback by id" txctl rollback "$id"
is "leaves files" "$(cat file)" first
is "and registry" "$(txctl reg get A value)" first
code 0 "and keys free" txctl reg set A value sz third

# A process that is killed while others hold a prepared transaction changes nothing about it.
prepare fourth
id=$(txctl list -q | awk '{print $1}')
mkfifo "$area/fifo"
"$TXCTL" exec - <"$area/fifo" >/dev/null 2>&1 &
holder=$!
exec 3>"$area/fifo"
echo 'mkdir never' >&3
for ((i = 0; i < 200 && ! $(find .txkit/shm -size +0 | wc -l); i++)); do sleep 0.05; done
sleep 0.2
kill -KILL "$holder"
{ wait "$holder"; } 2>/dev/null
exec 3>&-
code 0 "recover after a kill" txctl recover
is "it is still prepared" "$(txctl list -q | awk '{print $1}')" "$id"
code 4 "and still in the way" txctl reg set A value sz fifth
code 0 "commit after recovery" txctl commit "$id"
is "all of it" "$(cat file; txctl reg get A value)" "$(printf 'fourth\nfourth')"
same "and nothing of the killed one" test ! -e never
code 0 "check" txctl check
finish
