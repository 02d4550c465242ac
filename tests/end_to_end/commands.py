"""Calling the command line as a user does."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"


def mriseg(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Call the command line as a user does."""
    command = [sys.executable, "-m", "mriseg.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def tree_hash(folder: Path) -> str:
    """Hash over names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
