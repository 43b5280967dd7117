#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# begin .. commit over many processes: isolation, savepoints, failed commands, lists.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
printf 'one\ntwo\n' | txctl put - old
txctl reg set A value sz old

code 0 "begin" txctl begin --description "a change"
id=$(cat "$area/out")
same "prints an id" test "${id#*-}" -gt 0
code 0 "put inside" fed $'one\n2\n' txctl --tx "$id" put - old
export TXKIT_TX=$id
code 0 "mkdir inside, by TXKIT_TX" txctl mkdir new
code 0 "reg set inside" txctl reg set A value sz new
code 0 "cat inside" txctl cat old
is "sees the change" "$(tail -n 1 "$area/out")" 2
is "so does the registry" "$(txctl reg get A value)" new
unset TXKIT_TX
is "nobody else does: files" "$(txctl cat old | tail -n 1)" two
is "nor directories" "$(txctl ls)" old
is "nor the registry" "$(txctl reg get A value)" old
is "nor the tree" "$(cat old)" "$(printf 'one\ntwo')"

code 0 "list" txctl list
has "names it" "$area/out" "$id"
has "and what it is for" "$area/out" "a change"
code 0 "show" txctl show "$id"
has "shows its state" "$area/out" "state: active"
has "and changes" "$area/out" "A new/"
code 0 "diff" txctl diff "$id"
is "is exact" "$(cat "$area/out")" 'A new/
M old
--- a/old
+++ b/old
@@ -1,2 +1,2 @@
 one
-two
+2
- [A] value = REG_SZ old
+ [A] value = REG_SZ new'
code 0 "diff --stat" txctl diff "$id" --stat
has "counts" "$area/out" "1 added, 1 modified, 0 deleted, 0 renamed, 0 of new type"

code 6 "a command that fails inside" txctl --tx "$id" rm old nothing
is "leaves no trace" "$(txctl --tx "$id" ls | tr '\n' ' ')" "new old "

code 0 "savepoint" txctl savepoint "$id" first
code 0 "after it" txctl --tx "$id" mkdir second
code 0 "another savepoint" txctl savepoint "$id" second
code 0 "after that" txctl --tx "$id" reg create After
code 0 "rollback to the first" txctl rollback "$id" --to first
same "takes files back" test "$(txctl --tx "$id" ls | tr '\n' ' ')" = "new old "
code 6 "and the registry" txctl --tx "$id" reg info After
code 6 "later marks are gone" txctl rollback "$id" --to second
code 0 "the mark itself stays" txctl rollback "$id" --to first
code 2 "marks of txctl's own" txctl savepoint "$id" txctl:mine

code 0 "commit" txctl commit "$id"
lsn=$(cat "$area/out")
is "prints the LSN" "$(txctl history -q | tail -n 1 | awk '{print $1}')" "$lsn"
is "now all see it: files" "$(cat old)" "$(printf 'one\n2')"
same "directories" test -d new
is "registry" "$(txctl reg get A value)" new
code 6 "it is known no more" txctl commit "$id"
code 6 "for anything" txctl --tx "$id" ls
is "list is empty" "$(txctl list -q)" ""
code 2 "what is no id" txctl commit now
code 2 "no id at all" txctl commit

id=$(txctl begin)
code 77 "commit of nothing" txctl commit "$id"
id=$(txctl begin)
fed $'mkdir -p full/inner\ntouch full/inner/x full/y' txctl exec -
id=$(txctl begin)
txctl --tx "$id" exec - <<'END'
mkdir new/inner
touch new/inner/x new/y
rm -r new
mkdir gone
touch gone/x
rm -r gone
touch full/inner/x full/z
rm -r full
reg set A value sz once
reg set A value sz twice
END
is "what later changes undid is not shown" "$(txctl diff "$id")" 'D full/
D full/inner/
D full/inner/x
D full/y
D new/
- [A] value = REG_SZ new
+ [A] value = REG_SZ twice'
txctl rollback "$id"
id=$(txctl begin)
fed $'touch full/y\nmv full moved' txctl --tx "$id" exec -
is "what moved is shown where it is now" "$(txctl diff "$id")" 'R full -> moved
M moved/y'
txctl rollback "$id"
id=$(txctl begin)
txctl --tx "$id" mkdir never
code 0 "rollback" txctl rollback "$id"
same "nothing happened" test ! -e never
code 6 "it is gone" txctl rollback "$id"

# What one process has attached no other can take; it becomes free when that process dies.
id=$(txctl begin)
mkfifo "$area/fifo"
"$TXCTL" --tx "$id" exec - <"$area/fifo" >"$area/exec.out" 2>&1 &
holder=$!
exec 3>"$area/fifo"
printf 'mkdir held\nls\n' >&3
for ((i = 0; i < 200; i++)); do
    txctl list | grep -q "$id .*yes" && break
    sleep 0.05
done
code 7 "a transaction in use elsewhere" txctl --tx "$id" ls
code 7 "cannot be committed" txctl commit "$id"
code 7 "nor rolled back" txctl rollback "$id"
code 0 "list says so" txctl list
has "attached" "$area/out" "yes"
kill -KILL "$holder"
{ wait "$holder"; } 2>/dev/null
exec 3>&-
code 0 "when its process is dead it is free" txctl --tx "$id" mkdir after
is "and has what was saved before" "$(txctl diff "$id")" "A after/"
code 0 "commit of that" txctl commit "$id"
same "works" test -d after -a ! -e held

id=$(txctl begin --timeout 3)
txctl --tx "$id" mkdir late
sleep 3.2
code 4 "a transaction that lasted longer than its timeout" txctl commit "$id"
same "did nothing" test ! -e late
code 2 "a timeout of nothing" txctl begin --timeout 0
code 0 "check" txctl check
finish
