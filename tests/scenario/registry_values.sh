#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reg get set unset create delete list query info rename.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init

# roundtrip WORDS WANTED TYPE DATA...: set and get
roundtrip() {
    local words=$1 wanted=$2
    shift 2
    code 0 "set $words" txctl reg set Software/App value -- "$@"
    is "get $words" "$(txctl reg get Software/App value)" "$wanted"
}
hex() { txctl reg get --raw "$@" | od -An -v -tx1 | tr -d ' \n'; }

roundtrip "sz" "hello world" sz "hello world"
is "sz is UTF-16LE with a NUL" "$(hex Software/App value)" \
    "$(printf 'hello world\0' | iconv -f UTF-8 -t UTF-16LE | od -An -v -tx1 | tr -d ' \n')"
roundtrip "sz beyond the first plane" "héllo 🙂" sz "héllo 🙂"
roundtrip "empty sz" "" sz ""
roundtrip "expand-sz" "%HOME%" expand-sz "%HOME%"
roundtrip "REG_SZ by its other name" "x" REG_SZ "x"
roundtrip "dword" 305419896 dword 0x12345678
is "dword is little-endian" "$(hex Software/App value)" 78563412
roundtrip "dword-be" 1 dword-be 1
is "dword-be is not" "$(hex Software/App value)" 00000001
roundtrip "qword" 18446744073709551615 qword 18446744073709551615
roundtrip "negative qword" 18446744073709551615 qword -1
roundtrip "binary" 00ff7f binary "00 ff,7F"
roundtrip "empty binary" "" binary
roundtrip "none" 01 none 01
roundtrip "a type without a name" deadbeef 0xffff0010 deadbeef
roundtrip "link" '\Target' link '\Target'
roundtrip "multi-sz of arguments" $'a\nb' multi-sz a b
roundtrip "multi-sz separated by \\0" $'a\nb' multi-sz 'a\0b\0'
roundtrip "multi-sz with an empty element" $'a\n\nb' multi-sz a "" b
is "whose bytes say so" "$(hex Software/App value)" 610000000000620000000000
roundtrip "empty multi-sz" "" multi-sz
is "which is one NUL" "$(hex Software/App value)" 0000

code 2 "dword of 33 bits" txctl reg set Software/App value dword 4294967296
code 2 "negative dword" txctl reg set Software/App value dword -- -1
code 2 "dword of words" txctl reg set Software/App value dword many
code 2 "binary of half a byte" txctl reg set Software/App value binary 0
code 2 "binary of words" txctl reg set Software/App value binary zz
code 2 "no type" txctl reg set Software/App value zebra 1
code 2 "sz without data" txctl reg set Software/App value sz
code 2 "sz that is not UTF-8" txctl reg set Software/App value sz $'\xff'
is "none of which changed it" "$(hex Software/App value)" 0000

code 0 "--raw" txctl reg set Software/App odd sz --raw 410042
is "keeps odd bytes exactly" "$(hex Software/App odd)" 410042
is "and get shows them in hexadecimal" "$(txctl reg get Software/App odd)" 410042
printf 'one\ntwo\n' >"$area/lines"
code 0 "--data-file, multi-sz" txctl reg set Software/App lines multi-sz --data-file "$area/lines"
is "a line each" "$(txctl reg get Software/App lines)" "$(cat "$area/lines")"
head -c 100000 /dev/urandom >"$area/blob"
code 0 "--data-file, binary" txctl reg set Software/App blob binary --data-file "$area/blob"
same "byte for byte" cmp "$area/blob" <(txctl reg get --raw Software/App blob)
code 2 "data twice" txctl reg set Software/App x sz text --data-file "$area/lines"
code 6 "--data-file that is missing" txctl reg set Software/App x sz --data-file "$area/no"

code 0 "the default value" txctl reg set Software/App '' sz default
is "without a name" "$(txctl reg get Software/App)" default
code 0 "case of names does not count" txctl reg get SOFTWARE/aPP VALUE
code 0 "but is kept" txctl reg list Software
is "as created" "$(cat "$area/out")" App
code 4 "--if-absent of what exists" txctl reg set Software/App value sz new --if-absent
code 0 "--if-absent of what does not" txctl reg set Software/App fresh sz new --if-absent
revision=$(txctl --json reg info Software/App | "$tools/json_check" revision)
code 0 "--if the revision" txctl reg set Software/App fresh sz newer --if "$revision"
code 4 "--if an older revision" txctl reg set Software/App fresh sz newest --if "$revision"
is "changes nothing" "$(txctl reg get Software/App fresh)" newer

code 6 "get of a missing value" txctl reg get Software/App nothing
code 6 "get of a missing key" txctl reg get No/Such value
code 6 "unset of a missing value" txctl reg unset Software/App nothing
code 0 "unset" txctl reg unset Software/App fresh
code 6 "is gone" txctl reg get Software/App fresh

code 0 "create" txctl reg create Software/App/Sub --class words
code 0 "create again" txctl reg create Software/App/Sub
code 0 "info" txctl reg info Software/App/Sub
has "has the class" "$area/out" "class-name: words"
code 1 "delete with keys below" txctl reg delete Software/App
code 0 "rename" txctl reg rename Software/App Application
is "moves what is in it" "$(txctl reg get Software/Application)" default
code 6 "the old name is gone" txctl reg info Software/App
code 0 "a slash in a name" txctl reg create 'Software\a/b'
is "when the path has backslashes" "$(txctl reg list Software | head -n 1)" a/b
code 0 "list -R" txctl reg list -R
is "gives paths" "$(tr '\n' ' ' <"$area/out")" \
    'Software Software\a/b Software\Application Software\Application\Sub '

txctl exec - <<'END'
reg delete -r Software/Application
reg set Soft/A Text sz 'some text'
reg set Soft/A Number dword 0x1F
reg set Soft/A Bytes binary 01ab
reg set Soft/A List multi-sz x y
reg set Soft/A '' expand-sz '%x%'
reg set Soft/A/Below Number qword 3
END
wanted='
Soft\A
    Text    REG_SZ    some text
    Number    REG_DWORD    0x1f
    Bytes    REG_BINARY    01AB
    List    REG_MULTI_SZ    x\0y
    (Default)    REG_EXPAND_SZ    %x%

Soft\A\Below'
is "query has the shape of reg.exe" "$(txctl reg query Soft/A)" "$wanted"
code 0 "query -s" txctl reg query Soft -s
has "shows keys below" "$area/out" "    Number    REG_QWORD    0x3"
code 0 "query -v" txctl reg query Soft/A -v number
has "finds the value" "$area/out" "    Number    REG_DWORD    0x1f"
lacks "and nothing else" "$area/out" "Text"
code 6 "query -v of nothing" txctl reg query Soft/A -v nothing
code 0 "query -s -f" txctl reg query Soft -s -f 'NUM*'
has "counts" "$area/out" "End of search: 2 match(es) found."
code 6 "query -f with case" txctl reg query Soft -s -c -f 'NUM*'
code 0 "query -f in data" txctl reg query Soft -s -d -f text
has "finds it" "$area/out" "    Text    REG_SZ    some text"
code 6 "query -f whole" txctl reg query Soft -s -d -e -f text
code 2 "query --at is not there yet" txctl reg query Soft --at 1
code 6 "query of nothing" txctl reg query Nothing
code 0 "check" txctl check
finish
