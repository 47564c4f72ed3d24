#!/bin/bash
# The README's table of operations, from the tool's own operator table, from what the comparison with other systems names
# and from what the benchmark takes.
#   operators.sh TOOL            prints the table
#   operators.sh TOOL --write    puts it into README.md
set -eu -o pipefail
export LC_ALL=C
tool=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/.."

# Lines "NAME SYSTEM" of the operations that oracle.py compares, which it writes behind @cases( .. oracle="SYSTEM").
oracles() {
    awk '
        /^@cases\(/ { inside = 1 }
        inside {
            line = $0
            while (match(line, /"[A-Za-z0-9-]+"/)) {
                word[++words] = substr(line, RSTART + 1, RLENGTH - 2)
                line = substr(line, RSTART + RLENGTH)
            }
            if (/\)$/) {
                for (i = 1; i < words; i++) print word[i], word[words]
                inside = words = 0
            }
        }' tests/oracle/oracle.py
}

# The operations that a case of the benchmark may have, from its help.
benches() {
    ARGP_HELP_FMT=rmargin=10000 "$tool" bench ops --help | sed -nE 's/.*[.}] op: ([a-z, -]+); pass:.*/\1/p' | tr -d ',' |
        tr ' ' '\n'
}

# Neighbours of which all is the same share a row.
table() {
    awk '
        function cell(field, value) { # of a line of JSON: a list or a word
            value = $0
            sub(".*\"" field "\": ", "", value)
            if (substr(value, 1, 1) == "[") sub(/\].*/, "", value)
            else sub(/[,}].*/, "", value)
            gsub(/["\[]/, "", value)
            return value
        }
        FILENAME == ARGV[1] { if ($2 == "onnxruntime" || !($1 in oracle)) oracle[$1] = $2; next }
        FILENAME == ARGV[2] { bench[$1] = 1; next }
        cell("gradient") == "true" { next }
        {
            name = cell("name")
            algorithms = cell("algorithms")
            rest = " | " (algorithms ? algorithms : "none: the same memory") " | " \
                (cell("differentiable") == "true" ? "yes" : "no") " | " (algorithms ? "all" : "-") " | " \
                (name in oracle ? oracle[name] : "-") " | " (name in bench ? "yes" : "-") " |"
            if (rest != last) {
                if (last) print row last
                row = "| "
            } else {
                row = row ", "
            }
            row = row name
            last = rest
        }
        END { print row last }' <(oracles) <(benches) <("$tool" operators --json)
}

made() {
    echo '| operation | algorithms | gradient | instruction sets | oracle | benchmark |'
    echo '|---|---|---|---|---|---|'
    table
}

case ${2-} in
'') made ;;
--write)
    text=$(made)
    new=$(mktemp README.md.XXXXXX)
    trap 'rm -f "$new"' EXIT
    table=$text awk '
        /^<!-- end of operations/ { inside = 0 }
        !inside { print }
        /^<!-- operations/ { inside = 1; print ENVIRON["table"] }' README.md >"$new"
    cat "$new" >README.md
    ;;
*)
    echo "operators.sh TOOL [--write]" >&2
    exit 1
    ;;
esac
