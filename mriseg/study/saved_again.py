"""A label map that a program opened and saved: other bytes, the same labels."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mriseg.errors import MrisegError
from mriseg.files import sha256
from mriseg.nifti import read_label_map, read_volume, write_label_map
from mriseg.segment.readers import adopt_mask

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def saved_again(patient: Patient, visit: str, file: Path, known: Collection[str]) -> bool:
    """Whether a file holds the very labels that mriseg made; then it is put back as it was made.

    To open a map and save it is no correction: it would count without that anybody judged it.
    """
    again = file.with_name(f".again.{file.name}")
    try:
        grid = read_volume(patient.study.paths.image(patient.id, visit)).grid
        write_label_map(again, adopt_mask(read_label_map(file), grid, name=file.name))
        same = sha256(again) in known
        if same:
            again.replace(file)
    except MrisegError:
        return False
    finally:
        again.unlink(missing_ok=True)
    return same
