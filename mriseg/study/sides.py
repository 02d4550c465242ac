"""Which knee a volume says that it shows: a tag of the header, or a word of its description."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mriseg import dicom
from mriseg.types import Side

SIDE_LETTERS = {
    "left": Side.LEFT, "lt": Side.LEFT, "l": Side.LEFT, "li": Side.LEFT, "links": Side.LEFT, "gauche": Side.LEFT,
    "right": Side.RIGHT, "rt": Side.RIGHT, "r": Side.RIGHT, "re": Side.RIGHT, "rechts": Side.RIGHT, "droit": Side.RIGHT,
}  # fmt: skip
SIDE_WORDS = {"left": Side.LEFT, "lt": Side.LEFT, "right": Side.RIGHT, "rt": Side.RIGHT}


def side_by_tag(header: dicom.SeriesHeader) -> Side | None:
    """Side that the laterality tags agree on."""
    return header.laterality


def side_by_words(header: dicom.SeriesHeader) -> Side | None:
    """Side that the description names, None where it names none or both."""
    named = {SIDE_WORDS[w] for w in header.label.split("-") if w in SIDE_WORDS}
    return named.pop() if len(named) == 1 else None


def without_side(label: str) -> str:
    """Return a description without the words that name a side."""
    return "-".join(word for word in label.split("-") if word not in SIDE_WORDS)


def side_in_text(text: str) -> Side | None:
    """Side that the words or letters of a free text name, None where it names none or both."""
    named = {SIDE_LETTERS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in SIDE_LETTERS}
    return named.pop() if len(named) == 1 else None


# Letters count where they tell two series apart, never alone: an L may stand for anything.
TELLERS: tuple[tuple[str, Callable[[dicom.SeriesHeader], Side | None]], ...] = (
    ("laterality tag", side_by_tag),
    ("description", lambda header: side_in_text(header.description)),
    ("protocol", lambda header: side_in_text(header.protocol)),
)


def of_side(volumes: Sequence[dicom.FoundVolume], side: Side | None) -> tuple[list[dicom.FoundVolume], str]:
    """Return the volumes of one side, and what told them apart.

    All of them, and "", where the headers do not tell both knees apart or tell them apart in different ways.
    """
    chosen: dict[str, list[dicom.FoundVolume]] = {}
    for name, teller in TELLERS:
        told = [teller(v.header) for v in volumes]
        if side in told and set(told) == set(Side):
            chosen[name] = [v for v, found in zip(volumes, told, strict=True) if found is side]
    if not chosen or len({tuple(map(id, found)) for found in chosen.values()}) > 1:
        return list(volumes), ""
    return next(iter(chosen.values())), " and ".join(chosen)


def most_of_one_side(volumes: Sequence[dicom.FoundVolume]) -> int:
    """How many volumes are left once the side of a participant is known, at most."""
    return max((len(of_side(volumes, side)[0]) for side in Side), default=0)
