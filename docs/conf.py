"""Sphinx: `python -m sphinx -W --keep-going docs build/docs` builds the manual and fails on any warning."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402  (lies beside this file)

import mriseg  # noqa: E402

project = "mriseg"
author = "the mriseg authors"
release = version = mriseg.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "numpydoc"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["segmenter"]
html_theme = "furo"
html_title = f"mriseg {release}"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
autosummary_generate = False
suppress_warnings = ["myst.xref_missing"]  # links out of docs/ go to files of the repository

generate.write_all(HERE / "reference")
