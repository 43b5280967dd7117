#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# import DIR, apply ARCHIVE: everything arrives exactly, what is the same is left alone.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
txctl init
src=$area/src
mkdir -p "$src/bin" "$src/share/doc/deep" "$src/empty"
echo '#!/bin/sh' >"$src/bin/app" && chmod 755 "$src/bin/app"
head -c 150000 /dev/urandom >"$src/share/large"
ln "$src/share/large" "$src/share/large-again"
ln -s ../bin/app "$src/share/link"
: >"$src/share/doc/deep/zero"
chmod 700 "$src/share/doc"
find "$src" -depth -exec touch -h -d @1234567890.123456789 {} +

listing() {
    (cd "$1" && find . -mindepth 1 -path ./.txkit -prune -o \
        \( -type d -printf '%P %y %m %T@\n' -o -printf '%P %y %m %T@ %s %n %l\n' \) | sort)
}
code 0 "import" txctl import "$src" opt/app
has "counts" "$area/out" "added"
is "everything is there, exactly" "$(listing opt/app)" "$(listing "$src")"
same "with its contents" diff -r "$src" opt/app
inode=$(stat -c %i opt/app/bin/app)
code 77 "the same again: nothing to change" txctl import "$src" opt/app
is "and nothing is touched" "$(stat -c %i opt/app/bin/app)" "$inode"

echo new >"$src/bin/app"
rm "$src/share/link"
echo foreign >opt/app/extra
code 0 "import of a newer one" txctl import "$src" opt/app
is "brings what changed" "$(cat opt/app/bin/app)" new
same "leaves what is more" test -L opt/app/share/link -a -f opt/app/extra
code 0 "import --mirror" txctl import --mirror "$src" opt/app
same "removes it" test ! -e opt/app/extra -a ! -L opt/app/share/link
same "and is the same then" diff -r "$src" opt/app

(cd "$src" && tar --format=pax -cf "$area/app.tar" . && gzip -k "$area/app.tar")
tar --format=pax -C "$src" -cf "$area/bin.tar" bin
code 77 "apply of the same as an archive" txctl apply "$area/bin.tar" opt/app
if [[ $(cat "$area/err") == *"not supported"* || $(cat "$area/err") == *libarchive* ]]; then
    echo "# built without libarchive"
else
    code 0 "apply" txctl apply "$area/app.tar.gz" opt/other
    is "everything is there, exactly" "$(listing opt/other)" "$(listing "$src")"
    same "with its contents" diff -r "$src" opt/other
    head -c 60000 "$area/app.tar" >"$area/cut.tar"
    code 1 "an archive that was cut off" txctl apply "$area/cut.tar" opt/cut
    same "leaves nothing" test ! -e opt/cut
fi
code 0 "into the root" txctl import "$src/bin" .
is "itself" "$(cat app)" new
code 6 "of nothing" txctl import "$area/nothing" x
code 1 "of a file" txctl import "$src/bin/app" x
mkfifo "$src/pipe"
code 1 "of what cannot be imported" txctl import "$src" opt/pipe
same "leaves nothing" test ! -e opt/pipe
rm "$src/pipe"
id=$(txctl begin)
code 0 "in a transaction" txctl --tx "$id" import --mirror "$src/bin" opt/app
code 0 "diff --stat" txctl diff "$id" --stat
has "shows what it would remove" "$area/out" "D opt/app/share"
code 0 "rollback" txctl rollback "$id"
same "nothing happened" diff -r "$src" opt/app
code 0 "check" txctl check
finish
