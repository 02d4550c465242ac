"""Where an output comes from: hashes, versions, sidecars; and writing in one step."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mriseg
from mriseg.study.paths import sidecar_of

PACKAGE = Path(mriseg.__file__).parent
_SHARED = ("types.py", "geometry.py", "nifti.py")
CODE_OF_STEP: Mapping[str, tuple[str, ...]] = {
    "convert": (*_SHARED, "study/inventory.py", "study/steps/convert.py", "dicom"),
    "segment": (*_SHARED, "study/steps/segment.py", "dicom/anatomy.py", "segment", "assets/segmenter*"),
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


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_hash(step: str) -> str:
    """Return a hash of the source and assets that make the outputs of one step; it changes when they do."""
    digest = hashlib.sha256()
    for pattern in CODE_OF_STEP[step]:
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


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically, and only where it differs from what is there: an equal file keeps its time."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; NaN becomes null, keys keep their order."""
    write_text(path, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


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


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return value.as_posix()
    return value
