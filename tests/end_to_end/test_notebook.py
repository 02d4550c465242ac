"""The notebook runs from top to bottom on the sample trial and is the same as its paired script."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.end_to_end.conftest import SampleRun

pytestmark = pytest.mark.xdist_group("sample")
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "patient_review.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_patient_review_runs_from_top_to_bottom(sample_run: SampleRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRISEG_STUDY", str(sample_run.study))
    monkeypatch.setenv("MRISEG_PATIENT", "sub-05")
    book = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(book, timeout=300, kernel_name="python3").execute()
    pictures = [o for c in book.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) == 5  # two visits, three bones
    assert "sub-05" in str(book.cells[1]["outputs"])


def test_notebook_and_script_are_one_pair() -> None:
    book, script = jupytext.read(NOTEBOOK), jupytext.read(NOTEBOOK.with_suffix(".py"))
    assert [c.source for c in book.cells] == [c.source for c in script.cells]
