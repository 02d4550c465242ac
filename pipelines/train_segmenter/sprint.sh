#!/usr/bin/env bash
# Train both networks for a given time, from the cache to the exported files: see sprint.py.
#
#     bash sprint.sh MINUTES LABELS ANATOMY.nrrd WORK OUT [--share 0] [...]
#
# A second call with the same WORK goes on where the first one ended. PYTHON names another interpreter.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000
exec "${PYTHON:-python3}" "$here/sprint.py" "$@"
