"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DEFAULT_REAL_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what mriseg remembers of files out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real knees; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MRISEG_REAL_DATA", DEFAULT_REAL_DATA))
    if not (folder / "labels").is_dir():
        pytest.skip("the real knees are absent: set MRISEG_REAL_DATA to the folder that holds labels/")
    return folder
