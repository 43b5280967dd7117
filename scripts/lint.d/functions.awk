# SPDX-License-Identifier: MIT
# Report functions of more than `limit` lines in stripped C, from the line of `{` to that of `}`.

FNR == 1 {
    depth = 0
    head = ""
    continued = 0
}

function name_of(text) {
    return match(text, /[A-Za-z_][A-Za-z0-9_]*[ ]*\(/) ? substr(text, RSTART, RLENGTH - 1) : "?"
}

# A body follows a parameter list; initialisers have '=' and types have no parenthesis.
function opens_function(text) {
    return text ~ /\)/ && text !~ /=/
}

{
    is_directive = continued || $0 ~ /^[ ]*#/
    continued = is_directive && $0 ~ /\\$/
    if (is_directive)
        next
    line = $0
    while (match(line, /[{};]/)) {
        token = substr(line, RSTART, 1)
        if (depth == 0)
            head = head " " substr(line, 1, RSTART - 1)
        line = substr(line, RSTART + 1)
        if (token == "{") {
            if (depth == 0 && head ~ /extern ""/) {
                head = ""
                continue
            }
            if (depth++ == 0) {
                start = FNR
                counted = opens_function(head)
                name = name_of(head)
            }
        } else if (token == "}") {
            if (depth > 0 && --depth == 0 && counted && FNR - start + 1 > limit) {
                printf "%s:%d: function '%s' has %d lines, limit %d: split it by step\n", \
                    substr(FILENAME, length(work) + 2), start, name, FNR - start + 1, limit
            }
            if (depth == 0)
                head = ""
        } else if (depth == 0) {
            head = ""
        }
    }
    if (depth == 0)
        head = head " " line
}
