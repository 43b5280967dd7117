# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by scripts/lint, which sets the file lists
# Rules on files as text: sizes, white space, names, leftovers.

file_lines_max=500
file_lines_warn=350
function_lines_max=70
columns_max=100

rule_file_size() {
    awk -v limit="$file_lines_max" '
        function report() {
            if (lines > limit)
                printf "%s: %d lines, limit %d: split it by idea\n", name, lines, limit
        }
        FNR == 1 { report(); name = FILENAME }
        { lines = FNR }
        END { report() }' "${c_files[@]}" "${scripts[@]}"
}

# Not a rule: large files that still pass.
print_warnings() {
    wc -l "${c_files[@]}" | awk -v from="$file_lines_warn" -v to="$file_lines_max" '
        $2 != "total" && $1 > from && $1 <= to {
            printf "# warning: %s: %d lines, better below %d\n", $2, $1, from
        }'
}

rule_function_size() {
    awk -v work="$work" -v limit="$function_lines_max" -f "$lint_d/functions.awk" \
        "${c_files[@]/#/$work/}"
}

# Columns are characters: bytes that continue a UTF-8 sequence take no room.
rule_columns() {
    awk -v limit="$columns_max" '
        length($0) > limit {
            text = $0
            gsub(/[\200-\277]/, "", text)
            if (length(text) > limit)
                printf "%s:%d: %d columns, limit %d\n", FILENAME, FNR, length(text), limit
        }' "${c_files[@]}" "${scripts[@]}" "${build_files[@]}"
}

rule_white_space() {
    awk '
        /[ \t\r]$/ { printf "%s:%d: white space at the end of the line\n", FILENAME, FNR }
        /\t/ && FILENAME !~ /\.(mk|am)$/ {
            printf "%s:%d: tab; indent with spaces\n", FILENAME, FNR
        }' "${c_files[@]}" "${scripts[@]}" "${build_files[@]}" "${prose[@]}"
}

rule_spdx() {
    awk '
        function report() {
            if (name != "" && !found)
                print name ": no SPDX-License-Identifier in its first 3 lines"
        }
        FNR == 1 { report(); name = FILENAME; found = 0 }
        FNR <= 3 && /SPDX-License-Identifier: MIT/ { found = 1 }
        END { report() }' "${c_files[@]}" "${scripts[@]}" "${build_files[@]}"
}

rule_leftovers() {
    awk '
        /(^|[^A-Za-z0-9_])(TO[D]O|FIX[M]E|XX[X])([^A-Za-z0-9_]|$)/ {
            printf "%s:%d: unfinished business; do it or open an issue\n", FILENAME, FNR
        }' "${c_files[@]}" "${scripts[@]}" "${build_files[@]}" "${prose[@]}"
}

rule_file_names() {
    printf '%s\n' "${c_files[@]}" "${scripts[@]}" | awk -F/ '
        $NF ~ /\.(c|h|sh)$/ && $NF !~ /^[a-z][a-z0-9_]*\.(c|h|sh)$/ {
            print $0 ": name is not snake_case"
        }
        $NF in seen { print $0 ": same name as " seen[$NF] }
        { seen[$NF] = $0 }'
}

rule_folder_readme() {
    local folder
    for folder in src/*/; do
        [[ -s ${folder}README.md ]] ||
            echo "${folder}README.md: missing; say what the folder is for"
    done
}
