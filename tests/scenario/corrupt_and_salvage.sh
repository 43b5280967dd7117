#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A store that is damaged is refused with exit code 3 and the place; what is whole can be read.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init --segment-size 64K
txctl reg set 'Soft\App' value sz kept
echo content | txctl put - file
# A process that dies with the store open leaves its commits in the log.
mkfifo "$area/fifo"
"$TXCTL" exec - <"$area/fifo" >"$area/exec.out" 2>&1 &
holder=$!
exec 3>"$area/fifo"
echo 'cat file' >&3
for ((i = 0; i < 200; i++)); do
    [[ -s "$area/exec.out" ]] && break
    sleep 0.05
done
for i in 1 2 3; do echo "$i" | txctl put - "file$i"; done
kill -KILL "$holder"
{ wait "$holder"; } 2>/dev/null
exec 3>&-
cp -a .txkit "$area/whole"
# Damage in the record of the first of the three commits: later records prove that it was durable.
lsn=$(txctl --salvage -q log dump | awk '$6 == "commit" {print $1}' | head -n 1)
place=$(txctl --salvage -q log dump | awk -v l="$lsn" '$1 == l {print $2, $3}')
segment=$(printf '.txkit/log/%016x.seg' "${place% *}")
same "the log was left behind" test -n "$lsn" -a -f "$segment"
restore() { rm -rf .txkit && cp -a "$area/whole" .txkit; }
flip() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    printf '%b' "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

restore
flip "$segment" $((${place#* } + 200))
code 3 "a damaged record" txctl ls
has "is named by segment" "$area/err" "$(basename "$segment" .seg | sed 's/^0*//')"
has "and offset" "$area/err" "${place#* }"
has "with what to try" "$area/err" "try: txctl check"
code 3 "for changes, too" txctl mkdir dir
same "nothing was changed" test ! -e dir
code 3 "check" txctl check
has "names file and offset" "$area/out" "$(basename "$segment"):"
has "counts" "$area/err" "fault"
code 3 "check --json" txctl --json check
same "is valid" "$tools/json_check" faults.0.file faults.0.offset <"$area/out"
code 3 "log verify" txctl log verify
code 0 "salvage: ls" txctl --salvage ls
has "shows the tree" "$area/out" "file"
code 0 "salvage: cat" txctl --salvage cat file
is "reads files" "$(cat "$area/out")" content
code 0 "salvage: reg get" txctl --salvage reg get Soft/App value
is "reads the registry" "$(cat "$area/out")" kept
code 0 "salvage: reg export" txctl --salvage reg export Soft "$area/soft.reg"
code 0 "salvage: log dump" txctl --salvage log dump
code 0 "salvage: info" txctl --salvage info
code 2 "salvage changes nothing" txctl --salvage mkdir dir
code 2 "nor in a transaction" txctl --salvage --tx 1-1 ls

restore
flip .txkit/control 100
flip .txkit/control $((4096 + 100))
code 3 "both slots of control damaged" txctl info
has "control is named" "$area/err" control
code 3 "check says so" txctl check
restore
flip .txkit/settings 20
code 3 "settings damaged" txctl ls
has "settings is named" "$area/err" settings
restore
size=$(stat -c %s .txkit/reg/image)
for ((at = 4096; at < size; at += 4096)); do flip .txkit/reg/image $((at + 500)); done
code 3 "every page of the registry damaged: check" txctl check
has "the image is named" "$area/out" "reg/image:"
restore
rm .txkit/control
code 3 "control is missing: check" txctl check
restore
code 0 "and the whole one" txctl recover
has "is recovered" "$area/out" "was-clean: no"
is "with all three commits" "$(cat file1 file2 file3)" $'1\n2\n3'
code 0 "and is whole" txctl check
finish
