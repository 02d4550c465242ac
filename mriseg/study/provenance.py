"""Where an output comes from: hashes, versions, sidecars."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mriseg
from mriseg.files import sha256, write_json
from mriseg.study.paths import sidecar_of

PACKAGE = Path(mriseg.__file__).parent
_SHARED = ("types.py", "geometry.py", "files.py", "headers.py", "structures.py", "nifti.py")
CODE_OF_STEP: Mapping[str, tuple[str, ...]] = {
    "convert": (*_SHARED, "study/series_rule.py", "study/steps/convert.py", "dicom"),
    "segment": (
        *_SHARED,
        "surfaces.py",
        "atlas",
        "study/steps/segment.py",
        "study/corrections.py",
        "study/networks.py",
        "anatomy",
        "itk_files.py",
        "named_segments.py",
        "study/masks.py",
        "study/mask_files.py",
        "dicom/seg_reading.py",
        "dicom/segments.py",
        "segment",
        "assets/knee_atlas*",
        "assets/segmenter.json",
        "assets/segmenter.onnx",
    ),
    "register": (*_SHARED, "surfaces.py", "study/steps/register.py", "register"),
    "measure": (
        *_SHARED,
        "surfaces.py",
        "atlas",
        "study/steps/measure.py",
        "study/surface_files.py",
        "measure",
        "assets/knee_atlas*",
    ),
    "page": (*_SHARED, "report", "register/display.py"),
}
_LIBRARIES = ("numpy", "scipy", "scikit-image", "SimpleITK", "nibabel", "pydicom", "onnxruntime", "statsmodels")


@cache
def code_hash(step: str) -> str:
    """Return a hash of the source and assets that make the outputs of one step; it changes when they do."""
    return source_hash(*CODE_OF_STEP[step])


@cache
def source_hash(*patterns: str) -> str:
    """Return a hash of files of the package, given by patterns relative to it."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for entry in sorted(PACKAGE.glob(pattern)):
            files = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
            for file in files:
                if file.is_file() and "__pycache__" not in file.parts:
                    digest.update(file.relative_to(PACKAGE).as_posix().encode())
                    digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def versions() -> dict[str, str]:
    """Versions of mriseg, Python and the libraries that numbers depend on."""
    return {"mriseg": mriseg.__version__, "python": platform.python_version()} | {n: version(n) for n in _LIBRARIES}


def write_sidecar(
    output: Path, *, step: str, inputs: Iterable[Path], root: Path, parameters: Mapping[str, Any], **more: Any
) -> None:
    """Write the JSON beside ``output``: inputs with SHA-256 (paths relative to ``root``), parameters and versions."""
    content = {
        "step": step,
        "output_sha256": sha256(output) if output.is_file() else None,
        "inputs": {p.relative_to(root).as_posix(): sha256(p) for p in inputs},
        "parameters": dict(parameters),
        "code": code_hash(step),
        "versions": versions(),
        **more,
    }
    write_json(sidecar_of(output), content)
