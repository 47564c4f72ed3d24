#!/bin/bash
# Makes the virtual environment bench/environment with the systems that compare.py knows: Python's from PyPI, in their
# versions for CPUs, and oneDNN from Debian, of which a small program is built. About 2 GB, and several more for torch,
# whose packages on PyPI bring CUDA along.
#   setup-peers.sh [DIRECTORY [PACKAGE...]]
set -eu -o pipefail
here=$(dirname "$(readlink -f "$0")")
environment=${1:-$here/environment}
shift || true
[ $# -gt 0 ] || set -- onnx onnxruntime openvino ncnn tensorflow-cpu torch

python3 -m venv "$environment"
"$environment/bin/pip" install --quiet numpy "$@"

if ! [ -e /usr/include/oneapi/dnnl/dnnl.h ]; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get install -y --no-install-recommends libdnnl-dev libjansson-dev
fi
${CC:-cc} -O2 -std=c17 -D_GNU_SOURCE "$here/peers/onednn.c" -o "$environment/bin/convpool-onednn" -ldnnl -ljansson
