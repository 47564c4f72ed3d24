#!/bin/bash
# Builds Convpool and shows what it is for: a network learns to read handwritten digits and reads one it has not seen.
# Installs what is missing on Debian and its relatives (as root, or through sudo).
set -eu
cd "$(dirname "$(readlink -f "$0")")"
. tools/build.sh

install_packages "${packages[@]}"
build release --target tool

convpool=build/release/convpool
model=build/digits.safetensors
picture=build/digit.png

echo
echo "Training on digits drawn by a program (with Ctrl-C it stops and saves what it has learned)"
"$convpool" train --count 60000 --epochs 3 -o "$model"

echo
echo "Reading one of the others"
"$convpool" data --index 7 -o "$picture"
"$convpool" predict --show "$model" "$picture"

echo
echo "Yours, any PNG or JPEG:  $PWD/$convpool predict $PWD/$model PICTURE"
