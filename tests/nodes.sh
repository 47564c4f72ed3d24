#!/bin/bash
# ONNX's own test folders: nodes.sh TOOL DATA. All are supported, and pass at 1e-5 of the largest output, but for what is
# listed here.
set -u
tool=$1 data=$2
export LC_ALL=C
if [ ! -d "$data/onnx/node" ]; then
    echo "SKIPPED: there is no $data/onnx/node; CONVPOOL_TEST_DATA says where the folders are"
    if [ -n "${CONVPOOL_REQUIRE_DATA:-}" ]; then exit 1; else exit 77; fi
fi

# Its expected numbers were typed in, with four digits.
rounded=" test_averagepool_2d_ceil_last_window_starts_on_pad "

exact=() loose=()
for folder in "$data"/onnx/node/*/; do
    folder=${folder%/}
    if [[ $rounded = *" $(basename "$folder") "* ]]; then loose+=("$folder"); else exact+=("$folder"); fi
done

# all_pass TOLERANCE FOLDER...
all_pass() {
    local tolerance=$1 report
    shift
    report=$("$tool" onnx-test --tolerance "$tolerance" "$@")
    local status=$?
    echo "$report"
    [ $status = 0 ] && [[ ${report##*$'\n'} = "$# passed, 0 failed, 0 unsupported" ]]
}
[ ${#exact[@]} -gt 200 ] && all_pass 1e-5 "${exact[@]}" && all_pass 1e-3 "${loose[@]}"
