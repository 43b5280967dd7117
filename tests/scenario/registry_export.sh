#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reg export: the text of regedit, byte by byte, and JSON.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
long=$(printf 'ab%.0s' {1..60})
txctl exec - <<END
reg set 'HKLM\A b' Text sz 'quote " and \\back'
reg set 'HKLM\A b' '' sz 'dëfault 🙂'
reg set 'HKLM\A b' Number dword 0xABC
reg set 'HKLM\A b' Short dword --raw 0102
reg set 'HKLM\A b' Big qword 1
reg set 'HKLM\A b' Expand expand-sz a
reg set 'HKLM\A b' Bytes binary $long
reg set 'HKLM\A b' None none
reg set 'HKLM\A b' Cut sz --raw 410000004200
reg create 'HKLM\A b\Below' --class c1
END

text() { iconv -f UTF-16LE -t UTF-8 <"$1" | tr -d '\r' | sed '1s/^\xef\xbb\xbf//'; }
code 0 "export to a file" txctl reg export HKLM "$area/x.reg"
is "begins with a byte order mark" "$(head -c 2 "$area/x.reg" | od -An -tx1 | tr -d ' ')" fffe
is "has CRLF at all ends of lines" \
    "$(iconv -f UTF-16LE -t UTF-8 "$area/x.reg" | grep -c $'\r$')" \
    "$(iconv -f UTF-16LE -t UTF-8 "$area/x.reg" | wc -l)"
wanted='Windows Registry Editor Version 5.00

[HKLM]

[HKLM\A b]
"Text"="quote \" and \\back"
@="dëfault 🙂"
"Number"=dword:00000abc
"Short"=hex(4):01,02
"Big"=hex(b):01,00,00,00,00,00,00,00
"Expand"=hex(2):61,00,00,00
"Bytes"=hex:ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,\
  ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,\
  ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab,ab
"None"=hex(0):
"Cut"="A"

[HKLM\A b\Below]'
is "is what regedit writes" "$(text "$area/x.reg")" "$wanted"
code 0 "export to stdout" txctl reg export 'HKLM\A b\Below'
is "one key" "$(text "$area/out")" 'Windows Registry Editor Version 5.00

[HKLM\A b\Below]'
code 0 "--lossless" txctl reg export HKLM --lossless
is "keeps bytes behind a NUL" "$(text "$area/out" | grep Cut)" '"Cut"=hex(1):41,00,00,00,42,00'
is "and the class" "$(text "$area/out" | grep ';; class')" ';; class=c1'
is "and times" "$(text "$area/out" | grep -c ';; time=20')" 3

code 0 "JSON" txctl reg export HKLM --format json
is "is exact" "$(tr -d '\n' <"$area/out" | "$tools/json_check" subkeys.0.values.8.hex)" 410000004200
is "and plain where it can be" \
    "$(tr -d '\n' <"$area/out" | "$tools/json_check" subkeys.0.values.0.data)" 'quote " and \back'
code 0 "everything" txctl reg export /
is "has no line for the root itself" "$(text "$area/out" | grep -c '^\[')" 3
code 6 "a key that is missing" txctl reg export Nothing "$area/none.reg"
same "makes no file" test ! -e "$area/none.reg"
code 2 "a format of a later version" txctl reg export HKLM --format reg4
code 6 "into a directory that is missing" txctl reg export HKLM "$area/no/such"
finish
