#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# "..", absolute paths and planted links: nothing outside the root is ever touched.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
outside=$area/outside
mkdir -p "$outside/dir"
echo canary >"$outside/canary"
echo canary >"$outside/dir/canary"
chmod 640 "$outside/canary"
touch -d @1000 "$outside/canary" "$outside/dir/canary" "$outside/dir" "$outside"
canary() {
    (cd "$outside" && find . -printf '%p %y %m %s %T@ %i\n' | sort && cat canary dir/canary)
}
before=$(canary)
untouched() { is "$1: nothing outside was touched" "$(canary)" "$before"; }

txctl init
mkdir inside
echo inside >inside/file
ln -s "$outside" absolute
ln -s ../outside relative
ln -s ../../outside/canary inside/canary
ln -s inside good
mkdir sub && ln -s ../../../../../../../../etc sub/up

refused() { # WORDS COMMAND...
    local words=$1
    shift
    code 1 "$words is refused" txctl "$@"
    untouched "$words"
}
for path in ../outside/canary "$outside/canary" absolute/canary relative/canary \
    absolute/dir/canary inside/../../outside/canary ./../outside/canary .. / sub/up/passwd; do
    refused "cat $path" cat "$path"
    refused "put $path" put "$area/outside/canary" "$path"
    refused "rm $path" rm -rf "$path"
    refused "chmod $path" chmod 777 "$path"
done
for path in ../x "$outside/x" absolute/x relative/dir/x; do
    refused "mkdir $path" mkdir "$path"
    refused "mkdir -p $path" mkdir -p "$path/y"
    refused "mv to $path" mv inside/file "$path"
    refused "mv from $path" mv "$path" inside/x
    refused "ln $path" ln inside/file "$path"
    refused "ln of $path" ln "$path" inside/link
    refused "cp to $path" cp inside/file "$path"
    refused "cp -r from $path" cp -r "$path" inside/copy
    refused "ln -s at $path" ln -s target "$path"
    refused "touch $path" touch "$path"
    refused "truncate $path" truncate -s 0 "$path"
    refused "import to $path" import inside "$path"
done
refused "put through a final link" put inside/file inside/canary
refused "cat through a final link" cat inside/canary
refused "the store itself" put inside/file .txkit/settings
refused "a name in the store" mkdir .txkit/x
refused "reading the store" cat .txkit/control
refused "removing the store" rm -rf .txkit
refused "removing the root" rm -rf .
refused "listing the store" ls .txkit
refused "moving the store" mv .txkit elsewhere

code 0 "links that stay inside are followed" txctl cat good/file
is "to the file" "$(cat "$area/out")" inside
code 0 "rm -r of a tree with links" txctl rm -r sub
untouched "rm -r of links"
code 0 "chmod -R over links" txctl chmod -R u+x inside
untouched "chmod -R"
code 0 "rm of a link that leads out" txctl rm absolute relative inside/canary
untouched "rm of links"

# A link planted between the change and the commit.
id=$(txctl begin)
echo mine | txctl --tx "$id" put - inside/file
echo mine | txctl --tx "$id" put - inside/dir/canary 2>/dev/null ||
    { txctl --tx "$id" mkdir inside/dir && echo mine | txctl --tx "$id" put - inside/dir/canary; }
mv inside inside.real && ln -s ../outside inside
code 4 "a directory exchanged for a link" txctl commit "$id"
untouched "a planted directory"
rm inside && mv inside.real inside
id=$(txctl begin)
echo mine | txctl --tx "$id" put - inside/new
ln -s ../../outside/canary inside/new
code 4 "a name taken by a link" txctl commit "$id"
untouched "a planted name"
is "the link stays" "$(readlink inside/new)" ../../outside/canary

# Archives and directories that lead out.
mkdir "$area/evil"
(
    cd "$area/evil" || exit
    ln -s ../../outside link
    tar -cf "$area/link.tar" link
    rm link && mkdir link && echo mine >link/canary
    tar -rf "$area/link.tar" link/canary
    tar -cPf "$area/dots.tar" --transform 's|^|../outside/|' link/canary
    tar -cPf "$area/absolute.tar" --transform "s|^|$outside/|" link/canary
)
for archive in link dots absolute; do
    code 1 "an archive with $archive" txctl apply "$area/$archive.tar" inside
    untouched "archive $archive"
done
same "nothing of them came in" test ! -e inside/link
code 0 "check" txctl check
finish
