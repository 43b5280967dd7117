# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scenarios share: a directory of their own, and TAP.
#
#   root=... is the current directory and has no store yet; everything else goes to $area.
#   code N WORDS COMMAND...   the command must end with N; its output is in $area/out and $area/err
#   is WORDS GOT WANTED       two texts must be equal
#   has WORDS FILE TEXT       the file must hold the text (lacks: must not)
#   same WORDS COMMAND...     the command must succeed
#   finish                    the last line
#   at_scale N                is TXKIT_TEST_SCALE that much or more?
# shellcheck disable=SC2034,SC2001
set -u
: "${TXCTL:?the program to test}"
tools=${builddir:-.}/tests/scenario
# libtool's wrapper is a long shell script, and we start txctl thousands of times.
if [[ -x ${builddir:-.}/.libs/txctl && $TXCTL == "$builddir/txctl" ]]; then
    TXCTL=$builddir/.libs/txctl
    export LD_LIBRARY_PATH=$builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
area=$(mktemp -d)
trap 'rm -rf "$area"' EXIT
root=$area/root
mkdir "$root"
cd "$root" || exit 1
umask 022
unset TXKIT_STORE TXKIT_ROOT TXKIT_TX
number=0
bad=0

txctl() { "$TXCTL" "$@"; }

at_scale() {
    awk -v scale="${TXKIT_TEST_SCALE:-1}" -v least="$1" 'BEGIN { exit !(scale >= least) }'
}

# fed TEXT COMMAND...: the command with this standard input
fed() { printf %s "$1" | "${@:2}"; }

result() { # GOOD WORDS
    number=$((number + 1))
    if [[ $1 == yes ]]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        bad=$((bad + 1))
    fi
}

explain() { sed 's/^/#   /' <<<"$1"; }

code() {
    local wanted=$1 words=$2 got=0
    shift 2
    "$@" >"$area/out" 2>"$area/err" || got=$?
    # A sanitizer ends the program with 1, which must not pass for an error of ours.
    if [[ $got == "$wanted" ]] && ! grep -qE 'Sanitizer|runtime error:' "$area/err"; then
        result yes "$words"
    else
        result no "$words"
        explain "$* ended with $got, wanted $wanted"
        explain "$(head -c 2000 "$area/out")"
        explain "$(head -c 4000 "$area/err")"
    fi
}

is() {
    if [[ $2 == "$3" ]]; then
        result yes "$1"
    else
        result no "$1"
        explain "got:    $2"
        explain "wanted: $3"
    fi
}

has() {
    if grep -qaF -- "$3" "$2"; then
        result yes "$1"
    else
        result no "$1"
        explain "no \"$3\" in:"
        explain "$(head -c 2000 "$2")"
    fi
}

lacks() {
    if grep -qaF -- "$3" "$2"; then
        result no "$1"
        explain "\"$3\" in: $(head -c 2000 "$2")"
    else
        result yes "$1"
    fi
}

same() {
    local words=$1
    shift
    if "$@" >"$area/same" 2>&1; then
        result yes "$words"
    else
        result no "$words"
        explain "$*"
        explain "$(head -c 2000 "$area/same")"
    fi
}

finish() {
    echo "1..$number"
    ((bad == 0 && number > 0))
    exit
}
