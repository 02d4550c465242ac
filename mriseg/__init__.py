"""Cartilage defects in knee MRI, quantified for randomised trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mriseg.study import Study

__version__ = "0.1.0"
__all__ = ["__version__", "open_study"]


def open_study(path: str | Path) -> Study:
    """Open a study folder for reading; see :func:`mriseg.study.open_study`."""
    from mriseg.study import open_study as opened

    return opened(path)
