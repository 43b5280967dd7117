#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs whose habits are known: the good are acquitted, the bad convicted, on each file system.
# shellcheck disable=SC2154  # powercut_lib.sh sets them
. "${srcdir:?}/tests/powercut/powercut_lib.sh"
habits=$builddir/tests/powercut/habits

replace() { # FS HABIT [STATES]
    printf '%s\n' --fs "$1" --states "${3:-$(scaled 150)}" \
        --check "$habits check-replace {dir} {acks}" -- "$habits" replace '{dir}' "$2"
}
append() {
    printf '%s\n' --fs "$1" --states "$(scaled 20)" --fsync-error 8 \
        --setup "$habits set-up {dir}" --check "$habits check-append {dir} {acks}" \
        -- "$habits" append '{dir}' "$2"
}
redo() { # FS HABIT NESTED
    printf '%s\n' --fs "$1" --states "$(scaled 60)" --nested "$3" \
        --setup "$habits set-up {dir}" --recover "$habits recover {dir} $2" \
        --check "$habits check-redo {dir} {acks}" -- "$habits" redo '{dir}'
}
sqlite() { # FS JOURNAL SYNCHRONOUS
    printf '%s\n' --fs "$1" --states "$(scaled 60)" \
        --setup 'sqlite3 {dir}/db "CREATE TABLE t(n INTEGER PRIMARY KEY, x TEXT)"' \
        --check "sh $area/check_sqlite.sh {dir} {acks}" -- sh "$area/sqlite.sh" '{dir}' "$2" "$3"
}
cat >"$area/sqlite.sh" <<'END_SQLITE'
{
    echo "PRAGMA journal_mode=$2; PRAGMA synchronous=$3;"
    for i in 1 2 3 4 5 6 7 8; do
        echo "INSERT INTO t VALUES($i, hex(randomblob(1500)));"
        echo ".shell echo $i >>$TXCRASH_ACK"
    done
} | sqlite3 "$1/db"
END_SQLITE
cat >"$area/check_sqlite.sh" <<'END_CHECK'
acked=$(tail -n 1 "$2")
found=$(sqlite3 "$1/db" 'PRAGMA integrity_check; SELECT count(*) FROM t' 2>&1 | tr '\n' ' ')
[ "${found#ok }" != "$found" ] || { echo "damaged: $found"; exit 1; }
[ "${found#ok }" -ge "${acked:-0}" ] || { echo "$acked acknowledged, $found"; exit 1; }
END_CHECK

arguments() { mapfile -t given < <("$@"); }

for fs in $file_systems; do
    arguments replace "$fs" good
    acquits "$fs: write, fsync, rename, fsync of the directory" "${given[@]}"
    arguments replace "$fs" no-fsync
    convicts "$fs: rename without fsync" "${given[@]}"
    arguments replace "$fs" no-dir-fsync
    convicts "$fs: no fsync of the directory" "${given[@]}"
    arguments append "$fs" stop
    acquits "$fs: stop when fdatasync fails" "${given[@]}"
    arguments append "$fs" retry
    convicts "$fs: fdatasync again when it fails" "${given[@]}"
    arguments redo "$fs" good 6
    acquits "$fs: recovery that syncs before it empties its log, cut again" "${given[@]}"
    arguments redo "$fs" bad 0
    acquits "$fs: one that does not: one cut cannot tell" "${given[@]}"
    arguments redo "$fs" bad 12
    convicts "$fs: one that does not: a cut inside it can" "${given[@]}"
    if command -v sqlite3 >/dev/null; then
        arguments sqlite "$fs" wal full
        acquits "$fs: SQLite, WAL, synchronous=FULL" "${given[@]}"
        arguments sqlite "$fs" delete off
        convicts "$fs: SQLite, synchronous=OFF" "${given[@]}"
    fi
done

fs=${file_systems# }
fs=${fs%% *}
# With a rollback journal FULL does not sync the directory that the journal goes from, so the last
# transaction may be rolled back; EXTRA is for that. Nobody told the laboratory.
if command -v sqlite3 >/dev/null; then
    arguments sqlite "$fs" delete full
    convicts "$fs: SQLite, rollback journal, synchronous=FULL" "${given[@]}"
    arguments sqlite "$fs" delete extra
    acquits "$fs: SQLite, rollback journal, synchronous=EXTRA" "${given[@]}"
fi

# A disk that lies takes away what every program relies on: in one state of seven.
arguments replace "$fs" good 150
convicts "$fs: the good one on a disk that lies" --lie 2 "${given[@]}"
finish
