#!/bin/bash
# The README's table of operations, from the tool's own operator table, from what the comparison with other systems names
# and from the benchmark's cases.
#   operators.sh TOOL            prints the table
#   operators.sh TOOL --write    puts it into README.md
set -eu -o pipefail
export LC_ALL=C
tool=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/.."

# Lines "NAME SYSTEM" of the operations that are compared, which stand behind @cases( .. oracle="SYSTEM").
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
        }' tests/oracle/*.py
}

# Lines "NAME PASS" of the cases that the benchmark has.
benches() {
    sed -nE 's/.*"op": "([a-z0-9-]+)".*/\1 &/p' bench/cases/operations.jsonl |
        awk '{ print $1, /"backward_input"/ ? "input" : /"backward_weights"/ ? "weights" : "forward" }'
}

# Operations of which all is the same share a row, that of the first of them.
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
        function passes(name, text, n, i, pass) {
            n = split("forward input weights", pass, " ")
            for (i = 1; i <= n; i++) if ((name, pass[i]) in bench) text = text (text ? ", " : "") pass[i]
            return text ? text : "-"
        }
        FILENAME == ARGV[1] { if ($2 == "onnxruntime" || !($1 in oracle)) oracle[$1] = $2; next }
        FILENAME == ARGV[2] { bench[$1, $2] = 1; next }
        cell("gradient") == "true" { next }
        {
            name = cell("name")
            algorithms = cell("algorithms")
            computes = algorithms != ""
            reference = computes && sub(/(, )?reference$/, "", algorithms) ? "yes" : "-"
            rest = " | " reference " | " (algorithms ? algorithms : "-") " | " \
                (cell("differentiable") == "true" ? "yes" : "-") " | " (computes ? "all" : "-") " | " \
                (name in oracle ? oracle[name] : "-") " | " (computes ? passes(name) : "-") " |"
            if (!(rest in names)) order[++rows] = rest
            names[rest] = names[rest] (names[rest] ? ", " : "") name
        }
        END { for (i = 1; i <= rows; i++) print "| " names[order[i]] order[i] }' \
        <(oracles) <(benches) <("$tool" operators --json)
}

made() {
    echo '| operation | reference | fast algorithms | gradient | instruction sets | oracle | benchmark |'
    echo '|---|---|---|---|---|---|---|'
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
