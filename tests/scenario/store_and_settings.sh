#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# init, info, check, recover, checkpoint, settings, log, help: the store as a whole.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1

code 6 "without a store: no such object" txctl ls
has "and what to try" "$area/err" "try: txctl init"
code 0 "init here" txctl init --history-count 5 --segment-size 64K --inline-max 4K
is "the store is private" "$(stat -c %a .txkit)" 700
code 1 "init again" txctl init
has "says that there is one" "$area/err" "has a store already"
code 6 "init of what is not there" txctl init "$area/nothing"
code 2 "init with an impossible segment size" txctl init --segment-size 12x "$area"
same "and left nothing behind" test ! -e "$area/.txkit"
code 1 "init with a segment size that is no multiple of a block" \
    txctl init --segment-size 17000 "$area"
same "and left nothing behind either" test ! -e "$area/.txkit" -a ! -e "$area/.txkit.new"

code 0 "info" txctl info
has "info shows the root" "$area/out" "root: $root"
has "info shows what init was told: history" "$area/out" "history.count-max: 5"
has "info shows what init was told: segments" "$area/out" "log.segment-size: 65536"
has "info shows what init was told: inline" "$area/out" "inline-max: 4096"
has "info: nothing open" "$area/out" "open-transactions: 0"

mkdir -p deep/er
code 0 "the store is found upwards" env -C deep/er "$TXCTL" ls
is "paths are relative to its root" "$(cat "$area/out")" deep
code 0 "the store by --store" env -C / "$TXCTL" --store "$root/.txkit" ls
is "has its root beside it" "$(cat "$area/out")" deep
code 0 "the store by TXKIT_STORE" env -C / TXKIT_STORE="$root/.txkit" "$TXCTL" ls deep
is "and sees the same" "$(cat "$area/out")" er

mkdir "$area/other"
code 0 "a store kept elsewhere" txctl --store "$area/elsewhere" init "$area/other"
same "is not beside its root" test -d "$area/elsewhere/log" -a ! -e "$area/other/.txkit"
code 0 "a store kept elsewhere takes a change" \
    fed x txctl --store "$area/elsewhere" --root "$area/other" put - file
is "in its root" "$(cat "$area/other/file")" x

code 0 "check of a whole store" txctl check
has "finds no faults" "$area/out" "no faults"
code 0 "check --deep" txctl check --deep
code 0 "log verify" txctl log verify
code 0 "recover of a clean store" txctl recover
has "recover says that it was clean" "$area/out" "was-clean: yes"
code 0 "checkpoint" txctl checkpoint

code 0 "settings" txctl settings
has "lists the names" "$area/out" "history.size-max: 0"
code 0 "one setting" txctl settings inline-max
is "prints its value alone" "$(cat "$area/out")" 4096
code 0 "change a setting, with a unit" txctl settings history.size-max 2M
is "it has changed" "$(txctl settings history.size-max)" 2097152
code 77 "the same again: nothing to change" txctl settings history.size-max 2097152
code 77 "quietly, too" txctl --quiet settings history.size-max 2M
is "--quiet says nothing about it" "$(cat "$area/err")" ""
code 2 "an unknown setting" txctl settings no.such
code 2 "a value that is no size" txctl settings inline-max many
code 1 "a value that the store refuses" txctl settings conflict-entries 100
is "the setting stays" "$(txctl settings conflict-entries)" 65536

echo one | txctl put - a
code 0 "log dump" txctl log dump --fields --entries
code 0 "info has counted a commit" txctl info
has "in the history" "$area/out" "history-count: 1"

# What only reads leaves a store that was closed properly as it lies.
code 0 "a key to read" txctl reg create key
code 0 "with a value" txctl reg set key name sz text
lies() { (cd .txkit && find . -type f ! -name shm -exec cksum {} + | sort) }
before=$(lies)
for command in "ls" "tree" "cat a" "stat a" "reg get key name" "reg list key" "reg info key" \
    "reg query key" "reg export key" "history" "list" "info" "show 8192" "log dump"; do
    # shellcheck disable=SC2086
    txctl $command >"$area/out" 2>&1
    is "\"$command\" changes no byte of the store" "$(lies)" "$before"
done
code 0 "a change" txctl reg set key name sz other
is "changes some" "$([[ $(lies) != "$before" ]] && echo yes)" yes

code 2 "no command" txctl
code 2 "an unknown command" txctl frobnicate
code 2 "an unknown option" txctl ls --frobnicate
code 2 "an option without its value" txctl ls --store
code 2 "too few arguments" txctl put x
code 2 "too many arguments" txctl info x
has "what to try" "$area/err" "try: txctl help info"
code 2 "a command of a later version" txctl reg import x.reg
has "says so" "$area/err" "not in this version"
code 2 "another one, with options that nobody knows yet" txctl backup --fast x
has "says so as well" "$area/err" "not in this version"
code 0 "help" txctl help
for group in Store Transactions Files Registry; do
    has "help has the group $group" "$area/out" "$group:"
done
code 0 "help of a command" txctl help reg set
has "with usage" "$area/out" "usage: txctl reg set"
has "with options" "$area/out" "--if-absent"
code 0 "--help of a command" txctl put --help
has "is the same" "$area/out" "usage: txctl put"
code 0 "version" txctl version
is "--version is the same" "$(txctl --version)" "$(cat "$area/out")"
for shell in bash zsh fish; do
    code 0 "completion $shell" txctl completion "$shell"
done
code 2 "completion for nobody" txctl completion tcsh
same "what bash gets is bash" bash -n <(txctl completion bash)
finish
