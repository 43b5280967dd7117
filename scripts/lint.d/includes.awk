# SPDX-License-Identifier: MIT
# Report #include lines of stripped C that break the layer table (layers.txt, the first file).

NR == FNR {
    if ($0 ~ /^#/ || NF == 0)
        next
    split($0, column, /[ ]*\|[ ]*/)
    folder = column[1]
    known[folder] = 1
    count = split(column[2], names, " ")
    for (i = 1; i <= count; i++)
        owner[names[i]] = folder
    count = split(column[3], names, " ")
    for (i = 1; i <= count; i++)
        may[folder, names[i]] = 1
    next
}

# The layer of a file, "" when it stands above the library.
function layer_of(path,    part) {
    split(path, part, "/")
    if (part[1] == "src" && part[2] != "txctl" && part[2] != "txcrash")
        return part[2]
    sub(/\.h$/, "", part[3])
    return part[1] == "include" && part[3] != "txkit" ? owner[part[3]] : ""
}

FNR == 1 {
    path = substr(FILENAME, length(work) + 2)
    split(path, place, "/")
    mine = layer_of(path)
    is_user = path ~ /^(src\/txctl|src\/txcrash|examples|bench)\//
    is_test = path ~ /^tests\//
    if (path ~ /^src\// && mine != "" && !(mine in known) && !(mine in told)) {
        told[mine] = 1
        print path ": folder is not in scripts/lint.d/layers.txt"
    }
    if (path ~ /^include\// && mine == "" && path != "include/txkit/txkit.h")
        print path ": header has no owner in scripts/lint.d/layers.txt"
}

function report(words) {
    printf "%s:%d: %s\n", path, FNR, words
}

function check_public(header,    name) {
    name = header
    sub(/\.h$/, "", name)
    if (mine == "" || is_test)
        return
    if (name == "txkit") {
        if (path != "src/base/version.c")
            report("txkit/txkit.h is for users; include the header that is meant")
    } else if (!(name in owner)) {
        report("txkit/" header " has no owner in scripts/lint.d/layers.txt")
    } else if (owner[name] != mine && !((mine, owner[name]) in may)) {
        report("layer " mine " may not include txkit/" header " of layer " owner[name])
    }
}

function check_private(header,    part, count) {
    count = split(header, part, "/")
    if (is_test)
        return
    # `txcrash sim` is the front end of the simulator, of which it sees this much.
    if (place[2] == "txcrash" && header == "sim/swarm.h")
        return
    if (place[1] == "include")
        report("a public header includes only <txkit/...> and system headers")
    else if (count > 1 && part[1] == "txkit")
        report("write <" header ">")
    else if (count > 1 && part[1] != mine && part[1] != place[2] && (is_user || part[1] != "base"))
        report("private header \"" header "\" of another folder")
}

/^[ ]*#[ ]*include[ ]*</ {
    header = $0
    sub(/^[^<]*</, "", header)
    sub(/>.*/, "", header)
    if (header ~ /^txkit\//)
        check_public(substr(header, 7))
}

/^[ ]*#[ ]*include[ ]*"/ {
    header = $0
    sub(/^[^"]*"/, "", header)
    sub(/".*/, "", header)
    check_private(header)
}
