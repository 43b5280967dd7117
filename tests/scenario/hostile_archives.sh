#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Archives made to climb out, to overwrite, to fill the disk or the memory. Each is refused with one
# line and nothing changed, or taken, with all of it where it belongs. Shapes of known holes: path-*
# Python CVE-2007-4559; hard-link-* node-tar CVE-2026-23745, 2026-24842; cve-* as they say.
# shellcheck source=tests/scenario/scenario_lib.sh
. "${srcdir:-.}/tests/scenario/scenario_lib.sh" || exit 1
outside=$area/outside
archives=$area/archives
mkdir "$outside" "$archives"
echo canary >"$outside/canary"
touch -d @1000 "$outside/canary" "$outside"
long=$(printf '%0300d' 0)
deep=$(printf 'd/%.0s' {1..300})
tab=$'\t'
refused=() taken=() of_the_store=()

# refuse NAME ENTRY..., take NAME ENTRY...: an archive of these entries, fields separated by blanks.
describe() { printf '%s\n' "$1"; shift; printf "$tab%s\n" "${@// /$tab}"; }
refuse() { refused+=("$1") && describe "$@" >>"$area/table"; }
take() { taken+=("$1") && describe "$@" >>"$area/table"; }

# Where each kind of entry must not go.
count=0
for path in ../x ../outside/canary "$outside/x" "$outside/canary" / .. a/.. a/../../x ./../x \
    ./.././x a/b/../../../x //x /./x '../in/ok'; do
    for entry in "0 path=$path body=x" "5 path=$path" "2 path=$path link=ok" \
        "1 path=$path link=ok" "7 path=$path body=x" "x pax=path=$path"; do
        count=$((count + 1))
        follow=("0 path=plain body=x")
        [[ $entry == x* ]] || follow=()
        refuse "path-$count" "0 path=ok body=x" "$entry" "${follow[@]}"
    done
done
for type in 3 4 6; do
    refuse "node-$type" "0 path=ok body=x" "$type path=node"
    refuse "node-$type-over-a-file" "$type path=file"
done
for link in ../outside/canary "$outside/canary" / .. nowhere file ../in/file own/canary out/canary \
    ./../../outside/canary; do
    count=$((count + 1))
    refuse "hard-link-$count" "2 path=own link=$outside" "1 path=new link=$link"
    refuse "pax-hard-link-$count" "2 path=own link=$outside" "x pax=linkpath=$link" \
        "1 path=new link=ok"
done

# Through links: of the archive itself, and of the tree.
for target in "$outside" ../../outside . .. dir nowhere; do
    count=$((count + 1))
    refuse "own-link-$count" "2 path=own link=$target" "0 path=own/x body=x"
    refuse "own-link-deep-$count" "2 path=own link=$target" "5 path=own/x" "0 path=own/x/y body=x"
    refuse "own-link-hard-$count" "2 path=own link=$target" "1 path=second link=own" \
        "0 path=second/x body=x"
done
refuse cve-2021-32803 "5 path=a" "2 path=a link=$outside" "0 path=a/x body=x"
refuse cve-2021-32803-reversed "2 path=a link=$outside" "5 path=a" "0 path=a/x body=x"
refuse cve-2021-32804 "0 path=//$outside/x body=x"
refuse cve-2016-5418 "2 path=a link=$outside/canary" "1 path=b link=a" "0 path=b body=x"
refuse cve-2016-6321 "0 path=etc/../../outside/canary body=x"
refuse link-chain "2 path=a link=b" "2 path=b link=$outside" "0 path=a/x body=x"
refuse link-then-file "2 path=a link=$outside/canary" "0 path=a body=x"
refuse file-then-link "0 path=a body=x" "2 path=a link=$outside"
refuse below-a-file "0 path=a body=x" "0 path=a/b body=x"
refuse twice "0 path=a body=x" "0 path=a body=y"
refuse twice-otherwise-written "0 path=a body=x" "0 path=./a body=y"
refuse through-the-tree "0 path=out/x body=x"
refuse through-the-tree-deep "5 path=out/x" "0 path=out/x/y body=x"
refuse over-the-tree-link-as-directory "0 path=out/canary body=x"
refuse climbs-by-the-tree "0 path=up/x body=x"

# The store is nobody's.
for path in .txkit .txkit/settings .txkit/log/x ./.txkit/x .txkit//x; do
    count=$((count + 1))
    of_the_store+=("store-$count")
    describe "store-$count" "0 path=ok body=x" "0 path=$path body=x" >>"$area/table"
done

# What is said twice, too large, or cut off.
refuse name-too-long "x pax=path=$long" "0 path=a body=x"
refuse path-too-long "x pax=path=$deep$deep$deep$deep$deep$deep$deep$deep" "0 path=a body=x"
for type in "0 body=x" "2 link=x" "1 link=ok"; do
    for path in "" . ./ ././/; do
        count=$((count + 1))
        refuse "no-name-$count" "0 path=ok body=x" "${type% *} path=$path ${type#* }"
    done
done
refuse link-without-target "2 path=a"
refuse target-too-long "x pax=linkpath=$(printf '%05000d' 0)" "2 path=a link=b"
refuse size-of-a-disk "0 path=a size=77777777777"
refuse pax-size-of-a-disk "x pax=size=9223372036854775807" "0 path=a"
refuse sparse-bomb "x pax=GNU.sparse.major=0 pax=GNU.sparse.minor=1 pax=GNU.sparse.name=a \
pax=GNU.sparse.size=1099511627776 pax=GNU.sparse.map=0,1 pax=GNU.sparse.numblocks=1" \
    "0 path=a body=x"
refuse sparse-bomb-1.0 "x pax=GNU.sparse.major=1 pax=GNU.sparse.minor=0 pax=GNU.sparse.name=a \
pax=GNU.sparse.realsize=4611686018427387904" '0 path=a body=1\n0\n1\n'
refuse content-cut-off "0 path=a size=00000010000 body=x"
refuse checksum "0 path=ok body=x" "0 path=a body=x sum=000000"
refuse pax-cut-off "x size=00000000020 body=99" "0 path=a body=x"
refuse date-without-number "x pax=mtime=99999999999999999999" "0 path=a body=x"

take plain "5 path=a" "0 path=a/b body=x" "2 path=c link=a/b" "1 path=d link=a/b"
take deep "x pax=path=${deep}x" "0 path=a body=x"
take dots "0 path=./a body=x" "0 path=.//b/./c body=x"
take links-that-lead-out "2 path=a link=$outside" "2 path=b link=../../outside/canary"
take over-the-tree-link "2 path=out link=elsewhere"
take a-link-of-the-tree-becomes-a-directory "5 path=out" "0 path=out/canary body=x"
take set-id "0 path=a mode=0006755 body=x"
take capability "x pax=SCHILY.xattr.security.capability=x" "0 path=a body=x"
take case "0 path=A body=x" "0 path=a body=y" # git CVE-2021-21300 needs a disk that folds
take no-names-of-windows "0 path=CON body=x" "0 path=a:b body=x" '0 path=c\\d body=x'
take strange-names '0 path=a\nb body=x' '0 path=\t body=x' "0 path=-rf body=x" "0 path=~ body=x"
take whiteouts "0 path=.wh.file body=x" "0 path=.wh..wh..opq body=x"
take unknown-type "Z path=a body=x"
take global "g pax=comment=x" "0 path=a body=x"
take empty-file "0 path=a"

"$tools/make_tar" "$archives" <"$area/table" || exit 1

txctl init
renew() {
    rm -rf in
    mkdir -p in/dir
    echo old >in/file
    ln -s "$outside" in/out
    ln -s ../.. in/up
}
tree() { find "$1" -printf '%p %y %m %s %T@ %l %i\n'; }
renew
before=$(tree in)
out_before=$(tree "$outside")
for name in "${refused[@]}"; do
    got=0
    txctl apply "$archives/$name.tar" in >"$area/out" 2>"$area/err" || got=$?
    after=$(tree in)
    is "$name is refused, in one line, and nothing changed" \
        "$got $(wc -l <"$area/err") $after $(tree "$outside")" "1 1 $before $out_before"
    [[ $after == "$before" ]] || { renew && before=$(tree in); }
done
for name in "${of_the_store[@]}"; do # these are unpacked to the root, where the store is
    code 1 "$name is refused" txctl apply "$archives/$name.tar" .
    has "$name: because it is the store" "$area/err" .txkit
    is "$name: nothing came in" "$(ls -A)" ".txkit
in"
done
for name in "${taken[@]}"; do
    code 0 "$name is taken" txctl apply "$archives/$name.tar" in
    is "$name: nothing outside was touched" "$(tree "$outside")" "$out_before"
    is "$name: no set-id bits, no capabilities" \
        "$(find in -perm /6000; getfattr -Rhd -m security.capability in 2>/dev/null)" ""
    renew
done
before=$(tree in)
is "archives" "$((${#refused[@]} + ${#of_the_store[@]} + ${#taken[@]} >= 150))" 1

# Bombs: small to send, large to unpack.
head -c 300M /dev/zero >"$area/zeros"
mkdir "$area/many"
(cd "$area/many" && seq 25000 | xargs touch)
tar -C "$area" -czf "$area/large.tar.gz" zeros
tar -C "$area" -czf "$area/many.tar.gz" --sort=name many
rm -r "$area/zeros" "$area/many"
code 1 "300 MiB of zeros in 300 KB are too much" txctl apply "$area/large.tar.gz" in
has "which says so" "$area/err" "unpacks to more than"
code 1 "25,000 files in 100 KB are too many" txctl apply "$area/many.tar.gz" in
has "which says so" "$area/err" "more than 2"
is "nothing came in" "$(tree in)" "$before"
code 0 "unless that is wanted" txctl apply --max-bytes 400M "$area/large.tar.gz" in
is "all of it" "$(stat -c %s in/zeros)" 314572800
code 1 "a limit of one's own" txctl apply --max-entries 1 "$archives/plain.tar" in
code 2 "is a number" txctl apply --max-entries many "$archives/plain.tar" in
code 0 "check" txctl check
finish
