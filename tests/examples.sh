#!/bin/bash
# The examples do what they say: examples.sh FOLDER, where the programs lie.
set -u
folder=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

report() { # NAME CONDITION...
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/    /' out err
    fi
}
run() { # NAME ARGUMENTS...: out, err, status
    local name=$1
    shift
    timeout 300 "$folder/example_$name" "$@" >out 2>err </dev/null
    status=$?
}
# The program ends well, says nothing on standard error, and prints these lines.
prints() {
    [ "$status" = 0 ] && [ ! -s err ] && [ "$(cat out)" = "$1" ]
}

run 01_convolution
report "one convolution" prints " 1  5  6
 7  8  3
 3 10  4"

run 02_plan
report "a plan, many times" prints "frame 0: the upper edge at row 3, the left edge at column 2
frame 1: the upper edge at row 5, the left edge at column 10
frame 2: the upper edge at row 7, the left edge at column 18
frame 3: the upper edge at row 9, the left edge at column 26
frame 4: the upper edge at row 11, the left edge at column 34"

learns() {
    [ "$status" = 0 ] && [ ! -s err ] && [ -s digits.safetensors ] &&
        grep -qE '^(3[5-9]|4[0-9])[0-9] of 500 pictures that it has not seen are read right$' out &&
        [ "$(grep -cE '^picture ([0-4]) shows a \1, read as [0-9]$' out)" = 5 ]
}
run 03_mnist
report "learns from drawn digits, saves, loads, reads" learns

refuses() {
    [ "$status" = 1 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -q nowhere err
}
run 03_mnist nowhere nowhere nowhere nowhere
report "a missing file is named" refuses

echo "$passed passed, $failed failed"
[ "$passed" = 4 ] && [ "$failed" = 0 ]
