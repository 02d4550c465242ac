"""An error that nobody foresaw is told by its kind and place; its text, which may quote a header, is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mriseg.files import read_json
from mriseg.study.failures import unexpected

RAISE = """
import sys
import mriseg.study.draft
from mriseg.cli import main

def broken(folder):
    raise ValueError("DOE^JANE")

mriseg.study.draft.dicom.scan = broken
main()
"""


def error_of(path: Path) -> Exception:
    try:
        read_json(path)
    except Exception as error:
        return error
    raise AssertionError


def test_the_text_of_an_error_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("DOE^JANE")
    said = unexpected(error_of(tmp_path / "a.json"))
    assert "JSONDecodeError at files.py:" in said
    assert "DOE" not in said


def test_a_file_that_cannot_be_read_is_named_as_it_may_be_shown(tmp_path: Path) -> None:
    assert "No such file or directory: im0001.dcm" in unexpected(error_of(tmp_path / "im0001.dcm"))
    assert "DOE" not in unexpected(error_of(tmp_path / "DOE_JANE.dcm"))


def test_a_command_ends_with_one_line_and_shows_the_traceback_on_request(tmp_path: Path) -> None:
    for arguments, traceback in (([], False), (["--verbose"], True)):
        command = [sys.executable, "-c", RAISE, *arguments, "new", tmp_path, tmp_path.parent / "study"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert ("DOE^JANE" in result.stderr) is traceback
        assert traceback or "unexpected" in result.stderr
