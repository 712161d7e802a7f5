#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peers.sh --venv DIR [ARGUMENT of peers.py]...: makes the virtual environment if there is none
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ "${1:-}" = --venv ] && [ $# -ge 2 ] || { echo "usage: peers.sh --venv DIR [ARGUMENT of peers.py]..." >&2; exit 2; }
venv=$2
shift 2
if ! "$venv/bin/python" -c 'import gguf, llama_cpp' 2>/dev/null; then
    python3 -m venv "$venv"
    CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}" \
        nice "$venv/bin/pip" install -r "$here/requirements.txt" >&2
fi
exec "$venv/bin/python" "$here/peers.py" "$@"
