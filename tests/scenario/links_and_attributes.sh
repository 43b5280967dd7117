#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ln, chmod, chown, touch, setfattr, stat.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
echo content | txctl put - file

code 0 "ln -s" txctl ln -s file soft
is "holds the target" "$(readlink soft)" file
code 0 "cat follows it" txctl cat soft
is "to the file" "$(cat "$area/out")" content
code 0 "ln -s to nowhere" txctl ln -s /nowhere/at/all dangling
is "as it is written" "$(readlink dangling)" /nowhere/at/all
code 0 "ln" txctl ln file hard
is "is the same inode" "$(stat -c %i hard)" "$(stat -c %i file)"
code 1 "ln where something stands" txctl ln file soft
code 0 "ln -sf" txctl ln -sf hard soft
is "replaces it" "$(readlink soft)" hard
code 0 "a change through one name" fed new txctl put - file
code 0 "rm of a link" txctl rm dangling
code 0 "stat of a link" txctl stat soft
has "is about the link" "$area/out" "type: symlink"
has "and its target" "$area/out" "target: hard"

code 0 "chmod in digits" txctl chmod 4711 file
is "is set" "$(stat -c %a file)" 4711
code 0 "chmod in words" txctl chmod u-s,go=r file
is "is set" "$(stat -c %a file)" 744
code 0 "chmod -- -x" txctl chmod -- -x file
is "is set" "$(stat -c %a file)" 644
code 2 "chmod that is no mode" txctl chmod 9 file
code 2 "chmod that is none either" txctl chmod u%x file
mkdir -p d/e && touch d/e/f
code 0 "chmod -R" txctl chmod -R u=rwX,go= d
is "directories" "$(stat -c %a d/e)" 700
is "files" "$(stat -c %a d/e/f)" 600
code 6 "chmod of nothing" txctl chmod 600 nothing

code 2 "chown to nobody known" txctl chown no-such-user file
if ((EUID == 0)); then
    code 0 "chown by number" txctl chown 12:34 file
    is "is set" "$(stat -c %u:%g file)" 12:34
    code 0 "chown of the group alone" txctl chown :root file
    is "leaves the user" "$(stat -c %u:%g file)" 12:0
    code 0 "chown of a link" txctl chown 7 soft
    is "is about the link" "$(stat -c %u soft):$(stat -c %u hard)" 7:0
else
    code 0 "chown to oneself" txctl chown "$EUID" file
fi

code 0 "touch -d" txctl touch -d '2001-02-03 04:05:06.25' file
is "to the fraction of a second" "$(date -d "$(stat -c %y file)" '+%F %T.%2N')" \
    "2001-02-03 04:05:06.25"
code 0 "touch -d @" txctl touch -d @7 hard
is "of a second name" "$(stat -c %Y hard)" 7
is "(put has made it a file of its own)" "$(stat -c %Y hard):$(stat -c %h file)" 7:1
code 0 "touch -a" txctl touch -a -d @5 file
code 0 "touch -m" txctl touch -m -d @9 file
is "leaves the access time" "$(stat -c %X:%Y file)" 5:9
code 0 "touch -r" txctl touch -r hard d/e/f
code 2 "touch with what is no time" txctl touch -d tomorrowish file

if touch probe && setfattr -n user.probe -v 1 probe 2>/dev/null; then
    code 0 "setfattr" txctl setfattr -n user.colour -v blue file
    is "is set" "$(getfattr --only-values -n user.colour file)" blue
    code 0 "setfattr in base64" txctl setfattr -n user.bytes -v 0sAAH/ file
    is "is set" "$(getfattr -e hex -n user.bytes file | sed -n 's/.*=//p')" 0x0001ff
    code 0 "setfattr in hexadecimal" txctl setfattr -n user.bytes -v 0xfe file
    code 0 "stat shows attributes" txctl stat file
    has "texts" "$area/out" "attribute user.colour: blue"
    has "bytes escaped" "$area/out" 'attribute user.bytes: \xfe'
    code 0 "setfattr -x" txctl setfattr -x user.colour file
    same "is gone" bash -c '! getfattr -n user.colour file'
    code 2 "setfattr without a name" txctl setfattr file
    code 0 "a replaced file" fed again txctl put - probe
else
    echo "# this file system has no extended attributes"
fi
code 0 "check" txctl check
finish
