"""Data shared by the tests of comparing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def datasets() -> ModuleType:
    """The module that makes and reads the data sets."""
    spec = importlib.util.spec_from_file_location("compare_datasets", Path(__file__).parent / "datasets.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
