"""A file appears in whole or not at all; an equal file keeps its time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mriseg.files import replacing, write_json, write_text


def test_an_error_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")

    def half() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "one"


def test_an_equal_file_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "one")
    os.utime(path, (1, 1))
    write_text(path, "one")
    assert path.stat().st_mtime == 1
    write_text(path, "two")
    assert path.stat().st_mtime > 1


def test_nan_becomes_null_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": float("nan"), "y": [float("inf"), 2]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": [None, 2]}
