"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_REAL_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real knees; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MRISEG_REAL_DATA", DEFAULT_REAL_DATA))
    if not (folder / "labels").is_dir():
        pytest.skip("the real knees are absent: set MRISEG_REAL_DATA to the folder that holds labels/")
    return folder
