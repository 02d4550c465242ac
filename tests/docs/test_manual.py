"""The manual builds without a warning, its examples give what they show, and its tables follow the code."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mriseg import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(ROOT / "docs"), str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return out


def test_the_manual_builds_without_a_warning_and_fetches_nothing(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not [tag for tag in ('src="http', "src='http", 'rel="stylesheet" href="http') if tag in text], page.name


def test_every_command_has_its_options_in_the_manual(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in set(cli.COMMANDS) - cli.HIDDEN:
        assert f"mriseg {name}" in text
    assert "--allocation" in text


def test_every_error_of_the_code_is_in_the_manual(site: Path) -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.pop(0)
    errors = list(generate.raised_errors())
    assert len(errors) > 150
    text = (site / "reference" / "errors.html").read_text(encoding="utf-8")
    assert all(e.kind in text for e in errors)
    assert "no such folder. Expected a study folder with study.toml." in text


def _modules_with_examples() -> list[str]:
    files = [f for f in (ROOT / "mriseg").rglob("*.py") if ">>> " in f.read_text(encoding="utf-8")]
    return sorted(f.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for f in files)


@pytest.mark.parametrize("module", _modules_with_examples())
def test_the_examples_in_docstrings_give_what_they_show(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
