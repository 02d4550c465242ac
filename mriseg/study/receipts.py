"""What an output was made from: the recipe of a step, and the receipt that it leaves with its outputs' hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mriseg.files import read_json, write_json
from mriseg.study.model import Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One step of one patient, at one visit or (``visit`` empty) over all of them."""

    step: str
    visit: str = ""

    def __str__(self) -> str:
        return f"{self.step} {self.visit}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a result follows from.

    Parameters
    ----------
    inputs : mapping
        Name from the study folder -> SHA-256; None where the file is absent.
    parameters : mapping
        What of ``study.toml``, the manifest and earlier results concerns this patient, JSON-ready.
    code : str
        Hash of the code that the step runs.
    libraries : mapping
        Library -> version.
    """

    inputs: Mapping[str, str | None]
    parameters: Mapping[str, Any]
    code: str
    libraries: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """Hash over the whole recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A recipe and what came of it: name from the study folder -> SHA-256 of every output."""

    recipe: Recipe
    outputs: Mapping[str, str] = field(default_factory=dict)


def read_receipts(patient: Patient) -> dict[Task, Receipt]:
    """Read the receipts of one patient; a file that cannot be read counts as none, and everything is made again."""
    try:
        content = read_json(patient.study.paths.receipts(patient.id))
        return {_task(name): _receipt(entry) for name, entry in content.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_receipts(patient: Patient, receipts: Mapping[Task, Receipt]) -> None:
    """Write the receipts of one patient."""
    content = {str(t): asdict(r.recipe) | {"outputs": dict(r.outputs)} for t, r in receipts.items()}
    write_json(patient.study.paths.receipts(patient.id), dict(sorted(content.items())))


def _task(name: str) -> Task:
    step, _, visit = name.partition(" ")
    return Task(step=step, visit=visit)


def _receipt(entry: dict[str, Any]) -> Receipt:
    outputs = {str(k): str(v) for k, v in entry.pop("outputs").items()}
    return Receipt(recipe=Recipe(**entry), outputs=outputs)


def differences(old: Recipe, new: Recipe) -> Iterator[str]:
    """Say what changed from one recipe to another, input by input and parameter by parameter."""
    for name in sorted({*old.inputs, *new.inputs}):
        before, now = old.inputs.get(name), new.inputs.get(name)
        if before != now:
            yield f"{name.rsplit('/', 1)[-1]} {'is gone' if now is None else 'is new' if before is None else 'changed'}"
    for name in sorted({*old.parameters, *new.parameters}):
        if old.parameters.get(name) != new.parameters.get(name):
            yield f"{name} changed"
    if old.code != new.code:
        yield "the code changed"
    for name in sorted({*old.libraries, *new.libraries}):
        if old.libraries.get(name) != new.libraries.get(name):
            yield f"{name} changed from {old.libraries.get(name)} to {new.libraries.get(name)}"
