#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Conflicts: exit code 4, the object and the other party named, nothing lost.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
txctl mkdir dir
for name in file other dir/inner; do echo old | txctl put - "$name"; done
txctl reg set 'Soft\App' value sz old

# loser COMMAND... (with "put -" reading "mine"): begun, done, then overtaken by the caller
loser() {
    id=$(txctl begin)
    echo mine | txctl --tx "$id" "$@"
}

loser put - file
echo winner | txctl put - file
winner=$(txctl history -q | tail -n 1 | awk '{print $4}')
code 4 "two transactions on one file" txctl commit "$id"
has "the file is named" "$area/err" "file"
has "and the other party" "$area/err" "$winner"
is "the first committer wins" "$(cat file)" winner
code 6 "the loser is gone" txctl commit "$id"

loser reg set 'Soft\App' value sz mine
txctl reg set 'Soft\App' value sz winner
winner=$(txctl history -q | tail -n 1 | awk '{print $1}')
code 4 "two transactions on one value" txctl commit "$id"
has "key and value are named" "$area/err" 'Soft\App'
has "and the other party, too" "$area/err" "commit $winner"
is "the first wins here, too" "$(txctl reg get Soft/App value)" winner

loser reg set 'Soft\App' value sz mine
txctl reg set 'Soft\App' another sz theirs
code 0 "two values of one key do not conflict" txctl commit "$id"

loser reg set 'Soft\App' third sz mine
txctl reg delete -r Soft
code 4 "a value in a key that somebody removed" txctl commit "$id"
code 6 "stays removed" txctl reg info Soft

loser put - file
echo foreign >file
code 4 "a file that an ordinary program changed" txctl commit "$id"
has "is named" "$area/err" '"file"'
has "and so is the other party" "$area/err" "another program"
is "its change stays" "$(cat file)" foreign

loser put - other
rm other
code 4 "a file that an ordinary program removed" txctl commit "$id"
same "stays removed" test ! -e other

loser put - fresh
echo foreign >fresh
code 4 "a file that an ordinary program made" txctl commit "$id"
is "stays as it was made" "$(cat fresh)" foreign

loser put - dir/inner
mv dir elsewhere && mkdir dir && echo foreign >dir/inner
code 4 "a directory that an ordinary program exchanged" txctl commit "$id"
is "is not touched" "$(cat dir/inner elsewhere/inner)" "$(printf 'foreign\nold')"

loser rm -r elsewhere
echo more >elsewhere/more
code 4 "a tree to be removed in which something was made" txctl commit "$id"
is "stays whole" "$(cat elsewhere/inner elsewhere/more)" "$(printf 'old\nmore')"

loser put - file
echo winner | txctl put - fresh
code 0 "different files do not conflict" txctl commit "$id"
is "both are there" "$(cat file fresh)" "$(printf 'mine\nwinner')"

# reader OPTION...: reads `fresh`, is overtaken, then writes what it read into the registry
# shellcheck disable=SC2317  # called through code
reader() {
    mkfifo "$area/reader"
    : >"$area/exec.out" # what an earlier reader left must not pass for this one's
    "$TXCTL" exec - "$@" <"$area/reader" >"$area/exec.out" 2>"$area/exec.err" &
    local script=$!
    exec 4>"$area/reader"
    echo 'cat fresh' >&4
    for ((i = 0; i < 200; i++)); do
        [[ -s "$area/exec.out" ]] && break
        sleep 0.05
    done
    echo "newer than $*" | txctl put - fresh
    echo "reg set Seen value sz '$(cat "$area/exec.out")'" >&4
    exec 4>&-
    rm "$area/reader"
    wait "$script"
}
code 4 "serializable: what was read and then changed" reader --serializable
is "nothing was committed" "$(txctl reg list)" ""
code 0 "not so without it" reader
is "the snapshot's text was committed" "$(txctl reg get Seen value)" "newer than --serializable"
code 2 "begin cannot promise that over several processes" txctl begin --serializable

# A script is overtaken between its reading and its commit.
mkfifo "$area/fifo"
: >"$area/exec.out"
"$TXCTL" exec - <"$area/fifo" >"$area/exec.out" 2>"$area/exec.err" &
script=$!
exec 3>"$area/fifo"
printf 'put ../mine file\nls file\n' >&3
echo script >"$area/mine"
for ((i = 0; i < 200; i++)); do
    grep -qs file "$area/exec.out" && break
    sleep 0.05
done
echo overtaken | txctl put - file
exec 3>&-
wait "$script"
is "ends with 4" "$?" 4
has "and says that it was the commit" "$area/exec.err" "exec"
is "the file is that of the first committer" "$(cat file)" overtaken
code 0 "check" txctl check
finish
