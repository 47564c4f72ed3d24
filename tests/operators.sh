#!/bin/bash
# The README's table of operations is what tools/operators.sh makes of the tool: operators.sh TOOL PROJECT. And every operation
# that computes something has the reference among its algorithms, the last of them, and a case in the benchmark.
set -u
tool=$1
cd "$2" || exit 1
export LC_ALL=C
made=$(bash tools/operators.sh "$tool") || exit 1
shown=$(sed -n '/^<!-- operations/,/^<!-- end of operations/p' README.md | sed '1d;$d')
if [ "$made" != "$shown" ]; then
    echo "README.md shows another table than 'tools/operators.sh TOOL' makes; with --write it puts it there:"
    diff <(echo "$shown") <(echo "$made")
    exit 1
fi
lines=$("$tool" operators --json) || exit 1
wrong=$(grep -vE '"algorithms": \[(.*, )?("reference")?\]' <<<"$lines")
if [ -n "$wrong" ]; then
    echo "the reference must be the last algorithm:"
    echo "$wrong"
    exit 1
fi
# A linear activation is never computed: the builders leave it out.
missing=$(sed -nE '/"algorithms": \[\]|"gradient": true|"name": "linear"/!s/.*"name": "([a-z0-9-]+)".*/\1/p' <<<"$lines" |
    while read -r name; do grep -q "\"op\": \"$name\"" bench/cases/operations.jsonl || echo "$name"; done)
if [ -n "$missing" ]; then
    echo "no case in bench/cases/operations.jsonl:" $missing
    exit 1
fi
count=$(wc -l <<<"$lines")
echo "$count operations"
[ "$count" -gt 50 ]
