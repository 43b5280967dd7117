#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# exec: a script is one transaction; the line that fails is named and nothing of it remains.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
echo content >"$area/source"

script() { cat >"$area/script"; }

script <<'END'
# a comment

mkdir -p etc/app      # and one behind a command
put ../source etc/app/conf
reg set 'Soft\App' "Name with \"quotes\"" sz 'it''s'
ln -s conf etc/app/link\ with\ blanks
touch $'etc/app/new\nline' ''etc/app/x''
mkdir \
    etc/joined
END
code 0 "a script" txctl exec "$area/script"
same "files" cmp etc/app/conf "$area/source"
same "quoted names" test -L "etc/app/link with blanks" -a -e $'etc/app/new\nline' -a -d etc/joined
is "registry" "$(txctl reg get Soft/App 'Name with "quotes"')" "its"
is "is one transaction" "$(txctl history -q | wc -l)" 1
is "which is called so" "$(txctl history -q | sed 's/.*exec/exec/')" "exec $area/script"
before=$(txctl history -q; find . -path ./.txkit -prune -o -print; txctl reg list -R)

# fails LINE CODE WORDS: the script on stdin must fail so and leave nothing
fails() {
    script
    code "$2" "$3" txctl exec "$area/script"
    has "$3: line $1 is named" "$area/err" "txctl: $area/script:$1: "
    is "$3: nothing remains" \
        "$(txctl history -q; find . -path ./.txkit -prune -o -print; txctl reg list -R)" "$before"
}
fails 3 2 "a typo" <<'END'
mkdir one
reg create Soft/New
mkdirr two
mkdir three
END
fails 2 6 "an object that is missing" <<'END'
mkdir one
rm nothing/at/all
END
fails 4 1 "an object that is there" <<'END'

mkdir one

mkdir etc
END
fails 1 2 "an unclosed quote" <<'END'
mkdir 'one
mkdir two
END
fails 2 2 "a command that has no place there" <<'END'
mkdir one
commit 1-1
END
fails 3 2 "a store of its own" <<'END'
mkdir one
# the whole script has one store
--store /elsewhere mkdir two
END
fails 2 2 "a line that is only options" <<'END'
mkdir one
--quiet
END
fails 1 2 "exec inside exec" <<'END'
exec other
END
fails 2 4 "a condition that does not hold" <<'END'
mkdir one
reg set 'Soft\App' 'Name with "quotes"' sz new --if-absent
END
fails 2 2 "an unknown escape" <<'END'
mkdir one
mkdir $'\q'
END

code 0 "from stdin" fed $'mkdir from-stdin\n' txctl exec -
same "works" test -d from-stdin
code 0 "an empty script" txctl exec /dev/null
code 6 "a script that is missing" txctl exec "$area/none"

script <<'END'
put ../source seen
cat seen
ls seen
reg set A B sz inside
reg get A B
diff
rm seen
END
code 0 "a script sees its own changes" txctl exec "$area/script" --description "look inside"
is "all of them" "$(cat "$area/out")" "content
seen
inside
A seen
--- /dev/null
+++ b/seen
@@ -0,0 +1,1 @@
+content
+ [A]
+ [A] B = REG_SZ inside"
is "its description" "$(txctl history -q | tail -n 1 | sed 's/.*look/look/')" "look inside"

script <<'END'
mkdir kept
savepoint here
mkdir lost
reg create Lost
rollback --to here
mkdir kept/too
END
code 0 "savepoints in a script" txctl exec "$area/script"
same "what came before stays, and what came after" test -d kept/too
same "what was between goes" test ! -e lost
code 6 "in the registry, too" txctl reg info Lost

id=$(txctl begin)
code 0 "a script inside a transaction" fed $'mkdir inside\n' txctl --tx "$id" exec -
code 2 "one that fails there" fed $'mkdir more\ntypo\n' txctl --tx "$id" exec -
is "leaves no trace in it" "$(txctl diff "$id")" "A inside/"
code 0 "and it can be committed" txctl commit "$id"
same "with what went well" test -d inside -a ! -e more
finish
