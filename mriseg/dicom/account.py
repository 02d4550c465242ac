"""What became of every file below a folder: read, passed over by kind, or refused; the same words for every command."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mriseg.dicom.records import Refusal

NAMED = 3  # names that one line lists
VARIABLE = re.compile(r"#[0-9a-f]{4,}|\d+([.,]\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Number of files that were read as MR images, and everything that was not."""

    read: int
    refused: tuple[Refusal, ...]

    @property
    def troubled(self) -> tuple[Refusal, ...]:
        """What a person has to look at: damaged files and stacks that are no volume."""
        return tuple(r for r in self.refused if not r.kind.harmless)

    @property
    def troubles(self) -> tuple[str, ...]:
        """One line for all refusals of one reason."""
        return alike(self.troubled)

    @property
    def passed_over(self) -> tuple[str, ...]:
        """One line a kind of file that is no MR image: how many, and what to do where something can be done."""
        kinds = Counter((r.what or "other file", r.advice) for r in self.refused if r.kind.harmless)
        return tuple(f"{n} x {what}{f': {advice}' if advice else ''}" for (what, advice), n in sorted(kinds.items()))

    @property
    def to_do(self) -> tuple[str, ...]:
        """The kinds among those passed over that hide images which could be read."""
        hiding: dict[tuple[str, str], list[str]] = defaultdict(list)
        for refusal in self.refused:
            if refusal.kind.harmless and refusal.advice:
                hiding[refusal.what, refusal.advice].append(refusal.name)
        return tuple(f"passed over {listed(names)} ({what}): {do}" for (what, do), names in hiding.items())

    def __str__(self) -> str:
        found = f"{self.read} files hold MR images" if self.read else "no file holds an MR image"
        return "; ".join([found, *(f"passed over {line}" for line in self.passed_over)])


def alike(refusals: Sequence[Refusal]) -> tuple[str, ...]:
    """Return one line for all refusals whose reasons differ in names and numbers alone."""
    groups: dict[object, list[Refusal]] = defaultdict(list)
    for refusal in refusals:
        groups[refusal.kind, VARIABLE.sub("#", refusal.reason)].append(refusal)
    return tuple(_line(group) for group in groups.values())


def _line(group: Sequence[Refusal]) -> str:
    if len(group) == 1:
        return str(group[0])
    return f"{len(group)} of one kind ({listed([r.name for r in group])}): {group[0].reason}"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Join names, the first ones alone where there are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
