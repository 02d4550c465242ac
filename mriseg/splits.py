"""Which knees each thing that is learnt may see, and which are kept to judge it (``assets/splits.toml``)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path

from mriseg.errors import MrisegError

PARTICIPANT = re.compile(r"sub-[A-Za-z0-9]+")


class Split(StrEnum):
    """What a knee is for."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Participants (``sub-X``) by role. All visits of a participant have the same role.

    Parameters
    ----------
    training, validation, test : frozenset of str
        No participant is in two of them.
    atlas, mean_knee : frozenset of str
        What the knee atlas and the mean knee are built from; none of them a test knee.

    Raises
    ------
    MrisegError
        Where a participant has two roles, or an asset is built from a test knee or from a knee without a role.
    """

    training: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]
    atlas: frozenset[str] = frozenset()
    mean_knee: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        roles = [self.members(split) for split in Split]
        twice = {name for name in frozenset().union(*roles) if sum(name in role for role in roles) > 1}
        if twice:
            raise MrisegError(f"splits: {_names(twice)} in two of training, validation and test; expected one of them.")
        for asset in ("atlas", "mean_knee"):
            wrong = getattr(self, asset) - self.training - self.validation
            if wrong:
                raise MrisegError(f"splits: {asset} names {_names(wrong)}; expected knees of training or validation.")

    def members(self, split: Split) -> frozenset[str]:
        """Participants of one role."""
        return {Split.TRAINING: self.training, Split.VALIDATION: self.validation, Split.TEST: self.test}[split]

    def split_of(self, name: str) -> Split:
        """Role of the participant whose ``sub-X`` begins the name of a file or knee.

        Raises
        ------
        MrisegError
            Where the name has no participant, or one without a role: a knee of unknown role is never learnt from.
        """
        found = PARTICIPANT.match(name)
        for split in Split:
            if found and found.group() in self.members(split):
                return split
        raise MrisegError(
            f"{name}: belongs to no split; expected a name that begins with a participant of training, validation or "
            "test. Name the participant in splits.toml."
        )

    def chosen(self, paths: Iterable[Path], *splits: Split) -> list[Path]:
        """Files of the given roles in the order of their names, such as the label maps of a folder."""
        return sorted((p for p in paths if self.split_of(p.name) in splits), key=lambda p: p.name)


def read_splits(path: Path) -> Splits:
    """Read another file of splits.

    Raises
    ------
    MrisegError
        Where it has other keys than those of :class:`Splits`, or what is said there does not hold.
    """
    return _parsed(path.read_text(encoding="utf-8"), path.name)


@cache
def load_splits() -> Splits:
    """Return the splits behind everything that is shipped."""
    return _parsed(resources.files("mriseg.assets").joinpath("splits.toml").read_text(encoding="utf-8"), "splits.toml")


def _parsed(text: str, name: str) -> Splits:
    table = tomllib.loads(text)
    wanted = {field.name for field in fields(Splits)}
    if set(table) != wanted:
        raise MrisegError(f"{name}: found the keys {_names(table)}; expected {_names(wanted)}.")
    return Splits(**{key: frozenset(names) for key, names in table.items()})


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
