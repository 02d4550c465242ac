"""What is shipped for the page is what its card says, with its licence, and asks for nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import mriseg
from mriseg.files import sha256

NIIVUE = Path(mriseg.__file__).parent / "assets" / "niivue"
STATIC = Path(mriseg.__file__).parent / "room" / "static"


def test_the_viewer_is_the_one_of_its_card_and_comes_with_its_licence() -> None:
    card = json.loads((NIIVUE / "niivue.json").read_text())
    assert sha256(NIIVUE / "niivue.js") == card["sha256"]
    assert card["licence"] == "BSD-2-Clause"
    assert "Redistribution and use" in (NIIVUE / "LICENSE").read_text()


def test_the_viewer_evaluates_no_text_as_code() -> None:
    assert not re.search(r"\beval\(|new Function\(", (NIIVUE / "niivue.js").read_text())


def test_the_page_has_no_script_or_style_of_its_own_and_no_address_of_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", page)
    for part in STATIC.iterdir():
        assert not re.search(r"https?://", part.read_text()), part.name
        assert "innerHTML" not in part.read_text(), part.name
