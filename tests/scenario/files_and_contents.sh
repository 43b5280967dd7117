#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# put, get, cat, edit, cp, mv, rm, mkdir, rmdir, truncate, ls, tree.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init

head -c 300000 /dev/urandom >"$area/large"
printf 'first\nsecond\n' >"$area/small"
chmod 750 "$area/large"

code 0 "put a small file" txctl put "$area/small" small
same "it is there" cmp small "$area/small"
code 0 "put a large file" txctl put "$area/large" large
same "it is there, too" cmp large "$area/large"
is "with its mode" "$(stat -c %a large)" 750
code 0 "put over it" txctl put "$area/small" large
same "replaces all of it" cmp large "$area/small"
is "and keeps its mode" "$(stat -c %a large)" 750
touch -d @1000.5 "$area/small"
code 0 "put -p" txctl put -p "$area/small" kept
is "keeps the time" "$(stat -c %.1Y kept)" 1000.5
code 0 "put from stdin" fed $'text\n' txctl put - from-stdin
is "it holds that" "$(cat from-stdin)" text
code 0 "mkdir" txctl mkdir dir
code 0 "put into a directory" txctl put "$area/small" dir
same "takes the name of the source" cmp dir/small "$area/small"
code 6 "put of nothing" txctl put "$area/nothing" x
has "names it" "$area/err" "$area/nothing"
code 1 "put of a directory" txctl put "$area" x
has "says what to try" "$area/err" "try: txctl import"
code 6 "put into a missing directory" txctl put "$area/small" no/such/file
same "made nothing" test ! -e no -a ! -e x

code 0 "cat two files" txctl cat small from-stdin
is "one after the other" "$(cat "$area/out")" "$(cat small from-stdin)"
code 0 "get" txctl get large "$area/got"
same "gives the same bytes" cmp "$area/got" large
code 0 "get to stdout" txctl get small -
same "gives them, too" cmp "$area/out" small
code 0 "get into a directory" txctl get dir/small "$area"
same "takes the name" cmp "$area/small" dir/small
code 6 "cat of nothing" txctl cat nothing
has "names it" "$area/err" "txctl: cat nothing: "
code 1 "cat of a directory" txctl cat dir

code 0 "cp" txctl cp small copy
same "copies" cmp small copy
code 0 "cp into a directory" txctl cp small large dir
same "several" cmp dir/large large
code 1 "cp onto itself" txctl cp small small
same "leaves it as it was" cmp small "$area/small"
code 1 "cp of a directory without -r" txctl cp dir dir2
ln -s small dir/link
code 0 "cp -rp" txctl cp -rp dir dir2
same "copies everything" diff -r --no-dereference dir dir2
is "with times" "$(stat -c %y dir2/large)" "$(stat -c %y dir/large)"
code 1 "cp -r into itself" txctl cp -r dir dir/inside
same "makes nothing" test ! -e dir/inside

code 0 "mv" txctl mv copy moved
same "the old name is gone" test ! -e copy -a -f moved
code 0 "mv over a file" txctl mv moved kept
same "replaces it" cmp kept "$area/small"
code 0 "mv into a directory" txctl mv kept dir2
same "keeps the name" test -f dir2/kept
code 1 "mv -n onto what exists" txctl mv -n small large
same "leaves both" test -f small -a -f large
inode=$(stat -c %i dir2)
code 0 "mv of a directory" txctl mv dir2 dir3
is "is the same directory" "$(stat -c %i dir3)" "$inode"
code 0 "mv --exchange" txctl mv --exchange small from-stdin
is "changes places" "$(cat small)" text

code 0 "truncate" txctl truncate -s 3 large
is "cuts" "$(cat large)" fir
code 0 "truncate to more" txctl truncate -s +1K large
is "extends" "$(stat -c %s large)" 1027
code 2 "truncate without size" txctl truncate large
code 0 "touch makes an empty file" txctl touch empty
is "of no bytes" "$(stat -c %s empty)" 0
code 0 "touch -c does not" txctl touch -c nothing
same "indeed" test ! -e nothing

code 1 "rmdir of what is not empty" txctl rmdir dir
code 0 "mkdir -p" txctl mkdir -p a/b/c
code 0 "mkdir -p again" txctl mkdir -p a/b/c
code 1 "mkdir of what exists" txctl mkdir a/b/c
code 0 "mkdir -m" txctl mkdir -m 700 private
is "has that mode" "$(stat -c %a private)" 700
code 0 "rmdir" txctl rmdir a/b/c
code 1 "rm of a directory without -r" txctl rm a
code 0 "rm -r" txctl rm -r a dir3
same "removes all" test ! -e a -a ! -e dir3
code 6 "rm of nothing" txctl rm nothing
code 0 "rm -f of nothing" txctl rm -f nothing
code 6 "of several the last is missing" txctl rm small nothing
same "then none is removed" test -f small

code 0 "ls" txctl ls
is "lists in byte order, without the store" "$(tr '\n' ' ' <"$area/out")" \
    "dir empty from-stdin large private small "
code 0 "ls -l" txctl ls -l private
code 0 "ls -ld" txctl ls -ld private
has "shows the mode" "$area/out" "drwx------"
code 0 "ls -R" txctl ls -R
has "has titles" "$area/out" "dir:"
code 0 "ls of a file" txctl ls small
is "is the file" "$(cat "$area/out")" small
code 0 "tree" txctl tree
has "draws" "$area/out" "├── dir"
has "and counts" "$area/out" "2 directories"

export EDITOR="sed -i s/text/edited/"
code 0 "edit" txctl edit small
is "what the editor did is there" "$(cat small)" edited
code 77 "edit that changes nothing" txctl edit small
EDITOR=false code 1 "an editor that fails" txctl edit small
is "changes nothing" "$(cat small)" edited
export EDITOR="f() { echo foreign >$root/small; echo mine >\"\$1\"; }; f"
code 4 "edit of what another program changes meanwhile" txctl edit small
is "keeps its change" "$(cat small)" foreign
kept=$(sed -n 's/.*edited text is in //p' "$area/err")
is "and ours in a file" "$(cat "$kept")" mine
rm -rf "${kept%/*}"
id=$(txctl begin)
code 4 "the same inside a transaction" txctl --tx "$id" edit small
kept=$(sed -n 's/.*edited text is in //p' "$area/err")
rm -rf "${kept%/*}"
is "leaves nothing in it" "$(txctl diff "$id")" ""
finish
