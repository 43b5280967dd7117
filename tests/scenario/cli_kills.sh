#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every kind of change that txctl makes, killed before each system call that can change something.
# After each kill another process opens the store: all of the change must be there or nothing of
# it, and `txctl check' must find no fault. A store that came back as it was is used again, so later
# runs meet what earlier kills left.
#
# Below a TXKIT_TEST_SCALE of 0.5 a share of these calls is drawn; from 10 on, all calls count, also
# those that only read (`make soak').
set -u
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:?}/tests/scenario/scenario_lib.sh"
txcrash=${builddir:?}/txcrash
state_of=$builddir/tests/kill/state_of
kills=0
# A leak detector cannot work in a program that is traced already.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
# Memory is where thousands of short runs belong.
TMPDIR=$(mktemp -d "$("$srcdir/scripts/memory-tmpdir")/txkit-cli-kills.XXXXXX")
export TMPDIR
trap 'rm -rf "$area" "$TMPDIR"' EXIT
cd "$area" || exit 1

in_template() { "$TXCTL" --store template/.txkit "$@"; }

# What the kills of one scenario start from.
fresh() {
    rm -rf template
    mkdir -p template/dir/sub template/other
    printf 'one\n' >template/dir/one
    printf 'two\n' >template/dir/sub/two
    printf 'three\n' >template/other/three
    chmod 640 template/dir/one
    "$TXCTL" init --segment-size 64K template
    in_template exec - <<'END'
reg set App/One Version sz 1
reg set App/One Size dword 7
reg set App/Two/Deep Name sz deep
setfattr dir/one -n user.old -v value
END
}

# One line that says what a store without faults holds: tree and registry, transactions, settings.
# In a file of its own: the check runs it after each kill, unless tree and registry are all.
cat >look <<END
line=\$("$state_of" --no-times --check "\$1") || { echo "\$line"; exit 1; }
printf '%s' "\$line"
case \$2 in
transactions) "$TXCTL" --store "\$1/.txkit" list --quiet |
    awk '{ printf "; %s %s", \$2, \$6 }' ;;
settings) printf '; '; "$TXCTL" --store "\$1/.txkit" settings | tr '\n' ' ' ;;
esac
END
cat >look_and_judge <<END
found=\$(sh look "\$1" "\$2") || { echo "\$found"; exit 1; }
case \$found in
"\$3") echo old ;;
"\$4") echo new ;;
*) echo "a mixture: \$found"; exit 1 ;;
esac
END

# How many numbers: all, or a share of what there are about.
choice() { # ABOUT
    if at_scale 10; then
        echo --every
    elif at_scale 0.5; then
        echo --every --changing
    else
        awk -v scale="${TXKIT_TEST_SCALE:-1}" -v about="$1" \
            'BEGIN { printf "--sample %d --seed 1 --changing\n", about * scale / 3 + 1 }'
    fi
}

# What is done in each copy before the command that is killed: a transaction knows inodes, and a
# copy has others. {dir} is the copy.
setup=true
set_up() { sh -c "${setup//\{dir\}/$1}"; }

# kill_them WORDS ASPECT OLD NEW OPTION... -- COMMAND...
kill_them() {
    local words=$1 aspect=$2 old=$3 new=$4 here check
    shift 4
    case $aspect in
    files) check="'$state_of' --no-times --check {dir} old='$old' new='$new'" ;;
    *) check="sh look_and_judge {dir} $aspect '$old' '$new'" ;;
    esac
    if "$txcrash" kill --jobs 2 --dir template --setup "$setup" --check "$check" "$@" \
        >report 2>&1; then
        result yes "$words"
    else
        result no "$words"
        explain "$(tail -c 3000 report)"
    fi
    here=$(awk '/^ +[0-9]+  kills( of the recovery)?$/ { sum += $1 } END { print sum + 0 }' report)
    echo "# $here kills: $words"
    kills=$((kills + here))
}

# learn WORDS ASPECT COMMAND...: what the template is before and after a command, $old and $new.
learn() {
    local words=$1 aspect=$2
    shift 2
    rm -rf once
    cp -a template once
    set_up once
    old=$(sh look once "$aspect")
    if ! "$TXCTL" --store once/.txkit "$@" >/dev/null 2>"$area/err"; then
        result no "$words"
        explain "$(<"$area/err")"
        return 1
    fi
    new=$(sh look once "$aspect")
}

# kill_at_each WORDS ASPECT COMMAND...: a command of txctl on copies of the template. ASPECT is what
# counts besides tree and registry: files (nothing else), transactions or settings.
kill_at_each() {
    local words=$1 aspect=$2 old new options
    shift 2
    learn "$words" "$aspect" "$@" || return
    read -ra options < <(choice 80)
    kill_them "$words" "$aspect" "$old" "$new" "${options[@]}" --reuse -- \
        "$TXCTL" --store '{dir}/.txkit' "$@"
}

# The command is killed, then each recovery, at one call after the other.
kill_its_recovery() { # WORDS COMMAND...
    local words="recovery of $1, killed again and again" old new options=(--every --changing)
    shift
    at_scale 0.5 || options=(--sample 4 --seed 1 --changing)
    learn "$words" files "$@" || return
    kill_them "$words" files "$old" "$new" "${options[@]}" --nested \
        --recover "'$TXCTL' --store {dir}/.txkit recover" -- "$TXCTL" --store '{dir}/.txkit' "$@"
}

# Changes of files.
fresh
printf 'new\n' >source
head -c 100000 /dev/zero | tr '\0' x >large
kill_at_each "put a new file" files put source dir/new
kill_at_each "put over a file" files put source dir/one
kill_at_each "put what does not fit into the log" files put large dir/large
kill_at_each "rm -r" files rm -r dir
kill_at_each "mv of a directory" files mv dir moved
kill_at_each "mv over a file" files mv dir/one other/three
kill_at_each "ln" files ln dir/one other/linked
kill_at_each "ln -s" files ln -s one dir/pointer
kill_at_each "mkdir -p" files mkdir -p deep/er/est
kill_at_each "chmod" files chmod 600 dir/sub/two
kill_at_each "truncate" files truncate --size 2 dir/one
kill_at_each "setfattr" files setfattr dir/one -n user.new -v other

# Many at once.
mkdir -p tree/dir/sub tree/more
printf 'imported\n' | tee tree/dir/one tree/dir/sub/two tree/more/file >/dev/null
ln -s ../dir/one tree/more/link
kill_at_each "import" files import tree .
if tar -C tree -cf archive.tar . && "$TXCTL" help apply >/dev/null; then
    kill_at_each "apply" files apply archive.tar .
fi
cat >script <<'END'
mkdir made
put source made/file
mv dir/one made/one
ln made/one made/two
rm -r other
reg set App/One Version sz 2
reg delete -r App/Two
reg set New/Key Value qword 5
chmod 755 made/file
END
kill_at_each "exec of a script" files exec script

# The registry.
kill_at_each "reg set" files reg set App/One Version sz 2
kill_at_each "reg delete -r" files reg delete -r App
kill_at_each "reg rename" files reg rename App/Two Second

# Transactions of several commands.
kill_at_each "begin" transactions begin --description later
id=$(in_template begin)
fresh
setup="'$TXCTL' --store {dir}/.txkit begin >/dev/null"
kill_at_each "put in a transaction" transactions --tx "$id" put source dir/one
setup+=" && '$TXCTL' --store {dir}/.txkit --tx $id put source dir/new"
setup+=" && '$TXCTL' --store {dir}/.txkit --tx $id reg set App/One Version sz 3"
setup+=" && '$TXCTL' --store {dir}/.txkit --tx $id mv dir/sub other/sub"
kill_at_each "commit" transactions commit "$id"
kill_at_each "rollback" transactions rollback "$id"
kill_at_each "prepare" transactions prepare "$id"
setup+=" && '$TXCTL' --store {dir}/.txkit prepare $id"
kill_at_each "commit of what is prepared" transactions commit "$id"
kill_at_each "rollback of what is prepared" transactions rollback "$id"

# The store itself.
setup="'$TXCTL' --store {dir}/.txkit exec script >/dev/null"
rm -rf once
cp -a template once
set_up once
lsn=$("$TXCTL" --store once/.txkit history --quiet | tail -n 1 | awk '{print $1}')
kill_at_each "revert" files revert "$lsn"
kill_at_each "checkpoint" files checkpoint
kill_at_each "settings" settings settings history.count-max 3

setup=true
kill_its_recovery "a script" exec script
kill_its_recovery "an import" import tree .
kill_its_recovery "rm -r" rm -r dir
kill_its_recovery "reg delete" reg delete -r App

echo "# $kills kills"
finish
