#!/bin/bash
# The README's table of operations, from the tool's own operator table, from what the comparison with other systems names
# and from what the benchmark takes.
#   operators.sh TOOL            prints the table
#   operators.sh TOOL --write    puts it into README.md
set -eu -o pipefail
export LC_ALL=C
tool=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/.."

# Lines "NAME SYSTEM" of the operations that oracle.py gives to the tool. It names them in tables (name: ONNX operator) and
# in its cases, which ask onnxruntime by run_onnx or else NumPy.
oracles() {
    awk '
        function names(line, of) {
            while (match(line, /"[a-z0-9-]+"/)) {
                of[substr(line, RSTART + 1, RLENGTH - 2)] = 1
                line = substr(line, RSTART + RLENGTH)
            }
        }
        function finish(name) {
            for (name in here) print name, asks ? "onnxruntime" : "NumPy"
            split("", here)
            asks = 0
        }
        /^[^ #)]/ { finish(); inside = 0 }
        /^def / { inside = 1 }
        inside && /run_onnx\(/ { asks = 1 }
        inside && /return .*"|name.* = / { names($0, here) }
        !inside && /"[a-z0-9-]+": "[A-Z]/ { names($0, tables) }
        END {
            finish()
            for (name in tables) print name, "onnxruntime"
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
