"""Where an output comes from: hashes, versions, sidecars."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mriseg
from mriseg.files import sha256, write_json
from mriseg.study.code import code_of
from mriseg.study.paths import sidecar_of

LIBRARIES = ("numpy", "scipy", "scikit-image", "SimpleITK", "nibabel", "pydicom", "onnxruntime", "statsmodels")


@cache
def versions() -> dict[str, str]:
    """Versions of mriseg, Python and the libraries that numbers depend on."""
    return {"mriseg": mriseg.__version__, "python": platform.python_version()} | {n: version(n) for n in LIBRARIES}


def write_sidecar(
    output: Path,
    *,
    step: str,
    module: str,
    inputs: Iterable[Path],
    root: Path,
    parameters: Mapping[str, Any],
    **more: Any,
) -> None:
    """Write the JSON beside ``output``: inputs with SHA-256 (paths relative to ``root``), parameters and versions.

    ``module`` is the one that made the output; the hash of its code, and of all that it runs, stands in the JSON.
    """
    content = {
        "step": step,
        "output_sha256": sha256(output) if output.is_file() else None,
        "inputs": {p.relative_to(root).as_posix(): sha256(p) for p in inputs},
        "parameters": dict(parameters),
        "code": code_of(module).sha256,
        "versions": versions(),
        **more,
    }
    write_json(sidecar_of(output), content)
