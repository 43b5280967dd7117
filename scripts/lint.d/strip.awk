# SPDX-License-Identifier: MIT
# Write each C file to work/PATH with comments and literals blanked, keeping its lines.

FNR == 1 {
    if (out != "")
        close(out)
    out = work "/" FILENAME
    in_comment = 0
    printf "" > out
}

# Take a literal that begins `line` off it; one that does not end here is taken whole.
function skip_literal(pattern) {
    if (match(line, pattern))
        line = substr(line, RLENGTH + 1)
    else
        line = ""
}

{
    line = $0
    kept = ""
    is_include = line ~ /^[ ]*#[ ]*include/
    while (line != "") {
        if (in_comment) {
            at = index(line, "*/")
            line = at ? substr(line, at + 2) : ""
            in_comment = !at
        } else if (!match(line, /\/\*|\/\/|"|'/)) {
            kept = kept line
            line = ""
        } else {
            token = substr(line, RSTART, RLENGTH)
            kept = kept substr(line, 1, RSTART - 1)
            line = substr(line, RSTART)
            if (token == "/*") {
                in_comment = 1
                line = substr(line, 3)
                kept = kept " "
            } else if (token == "//") {
                line = ""
            } else if (token == "\"" && is_include) {
                kept = kept line
                line = ""
            } else if (token == "\"") {
                skip_literal("^\"([^\"\\\\]|\\\\.)*\"")
                kept = kept "\"\""
            } else {
                skip_literal("^'([^'\\\\]|\\\\.)*'")
                kept = kept "' '"
            }
        }
    }
    print kept > out
}
