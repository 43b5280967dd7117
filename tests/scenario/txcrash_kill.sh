#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# txcrash kill on programs of others: right ones are acquitted, wrong ones convicted, each
# conviction can be had again, and what cannot be tested is no success.
# shellcheck disable=SC2016,SC2317,SC2001  # programs and checks are for other shells
set -u
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:?}/tests/scenario/scenario_lib.sh"
txcrash=${builddir:?}/txcrash
cd "$area" || exit 1
export TMPDIR=$area/tmp
mkdir template tmp keep "with blank"
printf 'old\n' | tee template/a template/b old >/dev/null
printf 'new\n' >new

txcrash() { "$txcrash" "$@"; }
kill_it() { txcrash kill "$@"; }
total() { awk -v name="$1" '/^ +[0-9]+  / && substr($0, 13) == name { print $1 }' "$area/out"; }
again() { sed -n 's/^  again: //p' "$area/out" | head -n 1; }
one_file='cmp -s {dir}/a old && echo old || { cmp {dir}/a new && echo new; }'
both='cat {dir}/a {dir}/b | tr "\n" " " | grep -xE "old old |new new "'

# usage WORDS TEXT ARGUMENT...: exit 2 and one line that says it, one that says where help is
usage() {
    local words=$1 text=$2
    shift 2
    code 2 "usage: $words" txcrash "$@"
    has "usage: $words is said" "$area/err" "$text"
    is "usage: $words in two lines" "$(wc -l <"$area/err")" 2
}

code 0 "help" txcrash help kill
has "help names the options" "$area/out" "--changing"
code 0 "help, as it is asked for elsewhere" txcrash kill --help
has "it is the same" "$area/out" "--changing"
usage "no check" "--check COMMAND is missing" kill -- true
usage "no program" "no program after --" kill --check true
usage "unknown option" "unknown option '--evry'" kill --evry --check true -- true
usage "no value" "a value is missing after '--check'" kill --check
usage "no number" "--sample wants a number" kill --sample many --check true -- true
usage "a list that is none" "--at wants a list" kill --at 3-1 --check true -- true
usage "two choices" "is enough" kill --every --at 3 --check true -- true
usage "nothing to nest" "--nested wants --recover" kill --nested --check true -- true
usage "no template" "--dir $area/none: No such file" kill --dir "$area/none" --check true -- true
code 2 "a TMPDIR that a shell would split" \
    env TMPDIR="$area/with blank" "$txcrash" kill --check true -- true
has "is refused with a reason" "$area/err" "TMPDIR must be"

code 1 "a program that is not there" kill_it --check true -- "$area/none"
has "is named" "$area/err" "cannot run the program: $area/none: No such file"
code 1 "a program that fails by itself" kill_it --check true -- sh -c 'echo no >&2; exit 3'
has "with its words" "$area/err" "fails when nobody kills it: exit code 3: no"
code 1 "a check that nothing satisfies" kill_it --check 'echo never; false' -- true
has "with its words too" "$area/err" \
    "a run that nobody killed is convicted: check: exit code 1: never"
code 1 "a call that no run reaches" kill_it --at 100000 --check true -- true
has "leaves nothing tested" "$area/out" "0 states: 0 fine"
code 1 "a program that never ends" kill_it --timeout 1 --check true -- sleep 1000
has "is ended" "$area/err" "took too long"

code 0 "write and rename is acquitted" kill_it --dir template --check "$one_file" -- \
    sh -c 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
every=$(total kills)
is "at each call that it makes" "$every" "$(total calls)"
same "there is a kill after the change too" test "$(total 'check: new')" -gt 0
code 0 "with the calls that change something only" kill_it --changing --dir template \
    --check "$one_file" -- sh -c 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
same "far fewer kills" test "$(total kills)" -lt $((every / 5))
is "the same calls in each run" "$(total 'other call than first seen')" 0
copies=$(total copies)
code 0 "copies that are as before serve again" kill_it --changing --reuse --jobs 1 --dir template \
    --check "$one_file" -- sh -c 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
same "so fewer are made" test "$(total copies)" -lt "$copies"
# What the calls that only read hide: nothing. Killing at any call shows no state of the directory
# that killing at the calls that change something does not. `make soak' tries all of the calls.
cat >many_calls <<'END'
cd "$TXCRASH_DIR" && mkdir -m 700 d && cp b d/b && chmod 600 d/b && ln -s b d/link && ln a d/a &&
    mv d/b c && : >a && rm b && rmdir e
END
mkdir template/e
sum='cd {dir} && { find . -printf "%P %y %m %n %s %l\n"; find . -type f -exec cat {} +; } |
    LC_ALL=C sort | md5sum'
seen() { sed -n 's/^ *[0-9]*  check: //p' "$area/out" | sort; }
choice=(--sample 80 --seed 1)
at_scale 10 && choice=(--every)
code 0 "many kinds of calls" kill_it "${choice[@]}" --dir template --check "$sum" -- sh many_calls
any=$(seen)
code 0 "those of them that change something" kill_it --changing --dir template --check "$sum" -- \
    sh many_calls
is "miss no state" "$(comm -23 <(printf '%s\n' "$any") <(seen))" ""
lacks "all of them counted" "$area/out" "something else"
same "which are several" test "$(seen | wc -l)" -ge 8
rmdir template/e

code 0 "a sample" kill_it --sample 7 --seed 5 --dir template --check "$one_file" -- \
    sh -c 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
is "of the size that was asked for" "$(total kills)" 7

code 1 "two files in place are convicted" kill_it --changing --dir template --keep keep \
    --check "$both" --json report.json --html report.html -- \
    sh -c 'cp new {dir}/a && cp new {dir}/b'
same "the report is valid" "$tools/json_check" schema <report.json
cp "$area/out" first
command=$(again)
is "the kept copy is the mixture" "$(cat keep/call-*/a keep/call-*/b | sort -u | tr '\n' ' ')" \
    "new old "
code 1 "and convicted again by the command that was printed" \
    bash -c "${command/#txcrash/\"$txcrash\"}"
is "for the same reason" "$(grep '^  found' "$area/out" | head -n 1)" \
    "$(grep '^  found' first | head -n 1)"
is "the page has the command" "$(sed -n 's/.*id="data">//p' report.html | sed 's/<.*//' |
    "$tools/json_check" states | grep -cF -- "$(sed 's/[\\"]/\\&/g' <<<"$command")")" 1

cat >updater <<'END'
printf 'a b\n' | tr ' ' '\n' | while read -r name; do
    (cp new "$TXCRASH_DIR/$name.tmp") &
done
wait
for name in a b; do cp new "$TXCRASH_DIR/$name.tmp"; done
mkdir "$TXCRASH_DIR/next"
mv "$TXCRASH_DIR/a.tmp" "$TXCRASH_DIR/next/a"
mv "$TXCRASH_DIR/b.tmp" "$TXCRASH_DIR/next/b"
ln -sfn next "$TXCRASH_DIR/link.tmp"
mv -T "$TXCRASH_DIR/link.tmp" "$TXCRASH_DIR/now"
END
mkdir -p switch/before
cp old switch/before/a
cp old switch/before/b
ln -s before switch/now
code 0 "a script that forks and switches a link is acquitted" kill_it --changing --dir switch \
    --check 'cat {dir}/now/a {dir}/now/b | tr "\n" " " | grep -xE "old old |new new "' -- sh updater
sed -i 's/^mkdir/ln -sfn next "$TXCRASH_DIR\/now"; &/' updater
code 1 "one that switches too early is convicted" kill_it --changing --dir switch \
    --check 'cat {dir}/now/a {dir}/now/b | tr "\n" " " | grep -xE "old old |new new "' -- sh updater

# Threads, and a thread that is not the first becomes another program.
threads=$builddir/tests/kill/four_threads
mkdir four
for i in 0 1 2 3; do cp old four/file$i; done
each='for i in 0 1 2 3; do cmp -s {dir}/file$i old || cmp {dir}/file$i new || exit 1; done'
code 0 "threads that replace files are acquitted" kill_it --dir four --check "$each" -- \
    "$threads" '{dir}' cp new '{dir}/last'
code 1 "and convicted when what comes after them writes in place" kill_it --changing --dir four \
    --check "$each" -- "$threads" '{dir}' sh -c 'cp new {dir}/x && cp -f {dir}/x {dir}/file3 &&
        echo new >{dir}/file3'

acks='! grep -q done {acks} || cmp {dir}/a new'
code 1 "an acknowledgement before the change convicts" kill_it --changing --dir template \
    --check "$acks" -- sh -c 'echo done >>"$TXCRASH_ACK"; cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
code 0 "one after it does not" kill_it --changing --dir template --json acks.json \
    --check "$acks" -- sh -c 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a; echo done >>"$TXCRASH_ACK"'
is "and is an event of the report" \
    "$("$tools/json_check" events <acks.json | grep -c '"kind":"ack"[^}]*"text":"done"')" 1

# A journal: copies what will be overwritten; the recovery puts it back.
journal='cp {dir}/a {dir}/tmp && mv {dir}/tmp {dir}/journal && cp new {dir}/a && rm {dir}/journal'
code 1 "a journal that nobody plays back" kill_it --changing --dir template --check "$one_file" \
    -- sh -c "$journal"
code 0 "one that the recovery plays back" kill_it --changing --dir template --check "$one_file" \
    --recover 'test ! -e {dir}/journal || mv {dir}/journal {dir}/a' -- sh -c "$journal"
code 1 "a recovery that fails" kill_it --changing --dir template --check true \
    --recover 'test ! -e {dir}/journal' -- sh -c "$journal"
has "is the reason" "$area/out" "found: recover: exit code 1"

code 0 "a recovery that is killed as well" kill_it --changing --nested --dir template \
    --check "$one_file" --recover 'test ! -e {dir}/journal || mv {dir}/journal {dir}/a' -- \
    sh -c "$journal"
same "at each of its calls" test "$(total 'kills of the recovery')" -gt "$(total kills)"
wrong='test ! -e {dir}/journal || { mv {dir}/journal {dir}/b; cp {dir}/b {dir}/a; }'
code 0 "one that cannot be repeated is fine when nobody kills it" kill_it --changing \
    --dir template --check "$one_file" --recover "$wrong" -- sh -c "$journal"
code 1 "and convicted when it is killed" kill_it --changing --nested --dir template \
    --check "$one_file" --recover "$wrong" -- sh -c "$journal"
command=$(again)
code 1 "and convicted again by the command that was printed" \
    bash -c "${command/#txcrash/\"$txcrash\"}"

code 0 "a setup is done in each copy" kill_it --changing --dir template \
    --setup 'ln {dir}/a {dir}/twin' --check 'test {dir}/a -ef {dir}/twin' -- touch '{dir}/b'
code 1 "one that fails" kill_it --dir template --setup 'echo no; exit 4' --check true -- true
has "is named" "$area/err" "setup: exit code 4: no"
is "and leaves nothing behind" "$(ls "$TMPDIR")" ""

code 1 "a lock that stays behind is met by the next run" kill_it --changing --reuse --jobs 1 \
    --dir template --check "$one_file" -- \
    sh -c 'mkdir {dir}/lock && cp new {dir}/tmp && mv {dir}/tmp {dir}/a && rmdir {dir}/lock'
has "with the reason" "$area/out" "found: the program fails after a kill: exit code 1: mkdir:"
command=$(again)
code 1 "and again, with the kills before it" bash -c "${command/#txcrash/\"$txcrash\"}"
has "for the same reason" "$area/out" "found: the program fails after a kill: exit code 1: mkdir:"

# Ended in its first run, and while workers run.
interrupt() { # WORDS PATTERN PROGRAM
    "$txcrash" kill --jobs 2 --dir template --check true -- sh -c "$3" >"$area/out" 2>&1 &
    local victim=$!
    while kill -0 "$victim" && ! compgen -G "$TMPDIR/txcrash-kill.*/$2" >/dev/null; do :; done
    kill -TERM "$victim"
    wait "$victim"
    is "$1: ended by a signal it ends by it" $? 143
    is "$1: nothing stays behind" "$(ls "$TMPDIR")" ""
    is "$1: and nothing runs" "$(pgrep -f "^sleep 1$$" || true)" ""
}
interrupt "first run" 'job2/dir/tmp' "cp new {dir}/tmp; sleep 1$$"
interrupt "workers" 'job1/dir/tmp' 'cp new {dir}/tmp && mv {dir}/tmp {dir}/a'
finish
