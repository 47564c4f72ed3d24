#!/bin/bash
# Builds Convpool and runs the quick tests. Installs what is missing on Debian and its relatives (as root, or through
# sudo).
set -eu
cd "$(dirname "$(readlink -f "$0")")"
. tools/build.sh

install_packages "${packages[@]}"
build release
exec ctest --preset release -j "$(nproc)"
