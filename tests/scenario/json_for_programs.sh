#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --json: every command's answer is one valid object (or one per line) with "schema": 1.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1

# json WORDS PATHS WANTED COMMAND...: run with --json; PATHS (blanks between) must hold WANTED
json() {
    local words=$1 paths=$2 wanted=$3
    shift 3
    code 0 "$words" txctl --json "$@"
    # shellcheck disable=SC2086  # paths are words
    is "$words: is valid" "$("$tools/json_check" $paths <"$area/out" 2>&1)" "$wanted"
}

json init root "$root" init
json "version" schema 1 version
json "info" "root history_count settings.inline-max" "$root"$'\n0\n65536' info
json "settings" "settings.conflict-entries" 65536 settings
json "one setting" "name value" $'inline-max\n65536' settings inline-max
json "check" faults "[]" check
json "log verify" faults "[]" log verify
json "recover" "performed was_clean" $'true\ntrue' recover
echo text >"$area/source"
code 0 "put" txctl --json put "$area/source" file
is "gives the LSN" "$("$tools/json_check" lsn <"$area/out")" \
    "$(txctl history -q | awk '{print $1}')"
mkdir "$area/dir" && echo x >"$area/dir/x"
code 0 "import" txctl --json import "$area/dir" in
is "gives counts and LSN" "$("$tools/json_check" added bytes <"$area/out")" $'1\n2'
same "in one object" test "$(wc -l <"$area/out")" = 1
json "ls" "entries.0.path entries.0.type entries.0.size" $'file\nfile\n5' ls file
mkdir empty
json "ls of nothing" entries "[]" ls empty
rmdir empty
json "stat" "path type size mode" $'file\nfile\n5\n420' stat file
json "tree" "entries.0.path" file tree
id=$(txctl --json begin --description "for json" | "$tools/json_check" id)
json "a change inside a transaction" transaction "$id" --tx "$id" mkdir dir
echo more | txctl --tx "$id" put - file
txctl --tx "$id" reg set K v dword 5
json "list" "transactions.0.id transactions.0.attached" "$id"$'\nfalse' list
json "show" "id state changes.0.path" "$id"$'\nactive\ndir' show "$id"
json "diff" "changes.1.change changes.1.path changes.2.key changes.3.new.data" \
    $'M\nfile\nK\n5' diff "$id"
code 0 "commit" txctl --json commit "$id"
lsn=$("$tools/json_check" lsn <"$area/out")
json "history" "commits.2.lsn commits.2.description" "$lsn"$'\nfor json' history
json "show LSN" "lsn changes.0.kind" "$lsn"$'\ndirectory' show "$lsn"
json "revert" "" "" revert "$lsn"
json "savepoint" schema 1 savepoint "$(txctl begin)" here
json "rollback" schema 1 rollback "$(txctl list -q | awk '{print $1}')"
json "checkpoint" schema 1 checkpoint
# While somebody has the store open, its log is not trimmed.
mkfifo "$area/fifo"
"$TXCTL" exec - <"$area/fifo" >"$area/exec.out" &
exec 3>"$area/fifo"
echo 'ls' >&3
for ((i = 0; i < 200; i++)); do
    [[ -s "$area/exec.out" ]] && break
    sleep 0.05
done
json "a change of the registry" "" "" reg create New
code 0 "log dump" txctl --json log dump --entries --fields
same "has records" test "$(wc -l <"$area/out")" -gt 0
is "is an object per line" "$("$tools/json_check" kind <"$area/out" | tail -n 1)" commit
exec 3>&-
wait
txctl exec - <<'END'
reg set K text sz 'a "quoted" text'
reg set K list multi-sz a b
reg set K big qword 0xffffffffffffffff
reg set K odd sz --raw 41
reg create K/below
END
json "reg get" "key name type data" $'K\ntext\nsz\na "quoted" text' reg get K text
json "reg get of bytes that are no text" "type hex" $'sz\n41' reg get K odd
is "has no data then" "$("$tools/json_check" data <"$area/out" 2>&1)" "json_check: nothing at data"
json "reg get of a large number" hex ffffffffffffffff reg get K big
json "reg query" "keys.0.key keys.0.values.1.data keys.0.subkeys.0" $'K\n["a","b"]\nK\\below' \
    reg query K
json "reg list" "keys.0.name keys.0.values" $'K\n4' reg list
json "reg info" "key subkeys" $'K\n1' reg info K
code 0 "reg export" txctl reg export K --format json
is "is one object, too" "$(tr -d '\n' <"$area/out" | "$tools/json_check" key)" K
json "a name that is not UTF-8" "" "" mkdir $'d\xff'
json "is given as bytes" "entries.0.path.bytes" "ZP8=" ls -d $'d\xff'
json "exec" "" "" exec /dev/null
code 6 "an error" txctl --json cat nothing
is "prints nothing on stdout" "$(cat "$area/out")" ""
code 1 "(the checker itself refuses another schema" fed '{"schema":2}' "$tools/json_check"
code 1 "and what is no JSON)" fed '{' "$tools/json_check"
finish
