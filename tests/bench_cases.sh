#!/bin/bash
# Each case of the benchmark runs: bench_cases.sh TOOL CASES. How fast is not asked here.
set -u
output=$("$1" bench ops --cases "$2" --json --seconds 0 --threads 2 2>&1)
status=$?
timed=$(grep -c '"median_ms"' <<<"$output")
cases=$(grep -c . "$2")
echo "$timed of $cases cases"
grep -v '"median_ms"' <<<"$output"
[ $status = 0 ] && [ "$timed" = "$cases" ]
