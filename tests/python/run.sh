#!/usr/bin/env bash
# run.sh PACKAGE: pytest over the package as it lies in the tree; 77 (skipped) without Python, numpy or pytest.
set -euo pipefail
python=/usr/bin/python3
if ! "$python" -c 'import numpy, pytest' 2>/dev/null; then
    echo "$python lacks numpy or pytest (Debian: python3-numpy, python3-pytest)"
    exit 77
fi
cd "$1"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$1
exec "$python" -m pytest -q -p no:cacheprovider tests
