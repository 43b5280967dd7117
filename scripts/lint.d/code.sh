# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by scripts/lint, which sets the file lists
# Rules on C: calls, layers, status codes, public headers, exported symbols.

rule_banned_calls() {
    awk -v work="$work" -f "$lint_d/banned.awk" "$lint_d/banned.txt" "${c_files[@]/#/$work/}"
}

rule_layers() {
    awk -v work="$work" -f "$lint_d/includes.awk" "$lint_d/layers.txt" "${c_files[@]/#/$work/}"
}

status_codes() {
    sed -n 's/^ *X(\(TX_E[A-Z]*\), *[0-9]*,.*/\1/p' include/txkit/error.h
}

# Words that begin with TX_E in the given files, one per line.
status_words() {
    cat /dev/null "$@" | tr -cs 'A-Za-z0-9_' '\n' | grep '^TX_E' | sort -u || true
}

rule_status_used() {
    comm -23 <(status_codes | sort) <(find_in "$work/src" -- -name '*.c' | status_words_of_list) |
        sed 's|$|: no code in src/ returns it|'
}

rule_status_tested() {
    comm -23 <(status_codes | sort) \
        <(find_in tests -- \( -name '*.c' -o -name '*.h' -o -name '*.sh' \) |
            status_words_of_list) |
        sed 's|$|: no test names it|'
}

status_words_of_list() {
    local files
    mapfile -t files
    status_words "${files[@]}"
}

rule_public_headers_alone() {
    local header
    for header in include/txkit/*.h; do
        printf '#include <txkit/%s>\n' "${header##*/}" |
            $lint_cc -std=c11 -Wall -Wextra -Wstrict-prototypes -Werror -fsyntax-only \
                -Iinclude -x c - || echo "$header: does not compile alone"
    done
}

rule_symbol_prefixes() {
    [[ -e $library ]] || { echo "skip: no built library" && return; }
    exported_symbols |
        grep -vE '^(tx|txio|txlog|ktm|txfs|txreg|txstore|tximport)_[a-z0-9_]+$' |
        sed 's|^|exported symbol without our prefix: |' || true
}

rule_api_defined() {
    [[ -e $library ]] || { echo "skip: no built library" && return; }
    comm -23 <(api_names | sort -u) <(exported_symbols | sort -u) |
        sed 's|^|promised by include/txkit, not in the library: |'
}

exported_symbols() {
    nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }'
}

# The functions that public headers mark TX_API.
api_names() {
    cat "$work"/include/txkit/*.h | awk '
        /^TX_API / { text = ""; open = 1 }
        open {
            text = text " " $0
            if (match(text, /[a-z_][a-z0-9_]*\(/)) {
                print substr(text, RSTART, RLENGTH - 1)
                open = 0
            }
        }'
}
