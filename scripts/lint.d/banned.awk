# SPDX-License-Identifier: MIT
# Report calls in stripped C that banned.txt (the first file) forbids where they stand.

NR == FNR {
    if ($0 ~ /^#/ || NF == 0)
        next
    count = split($0, column, / \| /)
    count = split(column[3], names, " ")
    for (i = 1; i <= count; i++) {
        scope[names[i]] = column[1]
        instead[names[i]] = column[2]
    }
    next
}

FNR == 1 {
    path = substr(FILENAME, length(work) + 2)
    in_layer = path ~ /^src\// && path !~ /^src\/tx(ctl|crash)\//
    applies["any"] = 1
    applies["memory"] = in_layer && path != "src/base/alloc.c"
    applies["words"] = in_layer && path != "src/base/invariant.c"
    applies["errno"] = in_layer && path != "src/base/error.c"
    applies["seam"] = in_layer && path !~ /^src\/txio\/posix[a-z0-9_]*\.c$/
}

# goto is no call, and banned everywhere.
/(^|[^A-Za-z0-9_])goto[ ]/ {
    printf "%s:%d: 'goto' is banned: use TX_AUTO and return\n", path, FNR
}

{
    line = " " $0
    while (match(line, /[A-Za-z_][A-Za-z0-9_]*[ ]*\(/)) {
        name = substr(line, RSTART, RLENGTH - 1)
        sub(/ +$/, "", name)
        before = substr(line, RSTART - 1, 1)
        line = " " substr(line, RSTART + RLENGTH)
        if (before != "." && before != ">" && name in scope && applies[scope[name]])
            printf "%s:%d: '%s' is banned here: use %s\n", path, FNR, name, instead[name]
    }
}
