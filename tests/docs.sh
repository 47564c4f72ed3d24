#!/bin/bash
# Runs every command of the READMEs and docs/: each line of a fenced block marked `sh` must succeed, in one folder per file,
# with the tool in PATH. What builds the project itself (./run.sh, ./test.sh, cmake, apt-get) is left to the build.
#   docs.sh TOOL SOURCE_DIRECTORY
set -u
tool=$(readlink -f "$1")
source=$(readlink -f "$2")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PATH="$(dirname "$tool"):$PATH" CONVPOOL_SOURCE="$source"

for page in "$source"/README*.md "$source"/docs/*.md; do
    folder=$scratch/$(basename "$page" .md)
    mkdir -p "$folder"
    while IFS= read -r line; do
        case $line in ./* | cmake* | ctest* | apt-get* | sudo* | git* | cd* | '#'* | '') continue ;; esac
        if (cd "$folder" && timeout 300 bash -c "$line") >"$scratch/output" 2>&1 </dev/null; then
            passed=$((passed + 1))
        else
            echo "FAILED ($?) in $(basename "$page"): $line"
            tail -n 5 "$scratch/output"
            failed=$((failed + 1))
        fi
    done < <(sed -n '/^ *```sh$/,/^ *```$/p' "$page" | grep -v '^ *```' | sed 's/^ *//')
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
