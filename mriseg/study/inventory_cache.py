"""The inventory of the last look, as long as nothing that it rests on has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mriseg import dicom
from mriseg.errors import DicomError
from mriseg.files import read_json, write_json
from mriseg.study.code import code_of
from mriseg.study.findings import Finding
from mriseg.study.inventory import ChosenSeries, Inventory, take_inventory, visit_folder
from mriseg.study.model import Study

CODE = "mriseg.study.inventory"


def study_inventory(study: Study, *, anew: bool = False, keep: bool = True) -> Inventory:
    """Return the inventory of a study as its files stand now; reading every header takes a second a visit.

    The last one counts where all files under ``dicom/`` have the same names, sizes and times, the three text files of
    the study and the code are the same; ``anew`` looks again all the same. ``keep`` writes down what was found.
    """
    state = _state(study)
    last: dict[str, Any] = {}
    if not anew:
        with suppress(OSError, ValueError):
            last = read_json(study.paths.inventory)
    if last.get("state") == state:
        return _from_json(last)
    found = take_inventory(study.paths, study.config, study.participants, study.entries)
    if not keep:
        return found
    write_json(study.paths.inventory, {"state": state, **_to_json(found)})
    return found


def _state(study: Study) -> str:
    """Hash over everything that an inventory rests on; file names stay behind the hash."""
    digest = hashlib.sha256(code_of(CODE).sha256.encode())
    for text in (study.config, study.participants, sorted(study.entries.items())):
        digest.update(repr(text).encode())
    for fact in _file_states(study):
        digest.update(repr(fact).encode())
    return digest.hexdigest()


def _file_states(study: Study) -> Iterator[tuple[object, ...]]:
    """Yield folder, name, size and times of every file of every visit, and what else lies under ``dicom/``."""
    if study.paths.dicom.is_dir():
        yield tuple(sorted(p.name for p in study.paths.dicom.iterdir()))
    for person in study.participants:
        for visit in study.visit_ids:
            try:
                folder = visit_folder(study.paths, study.entries, person.participant_id, visit)
                files = dicom.find_files(folder)[0] if folder.exists() else []
            except DicomError as error:
                yield person.participant_id, visit, str(error)
                continue
            for file in files:
                with suppress(OSError):  # gone since it was listed
                    yield person.participant_id, visit, str(file), *_times(file)


def _times(file: Path) -> tuple[int, ...]:
    """Size, time of writing and time of any change; a member of an archive has those of the archive."""
    facts = (dicom.archive_of(file) or file).stat(follow_symlinks=file.exists())  # a link to nowhere has its own
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _to_json(found: Inventory) -> dict[str, Any]:
    chosen = [{"participant_id": p, "visit": v, **asdict(series)} for (p, v), series in found.chosen.items()]
    return {"chosen": chosen, "findings": [asdict(f) for f in found.findings]}


def _from_json(content: dict[str, Any]) -> Inventory:
    chosen = {(c.pop("participant_id"), c.pop("visit")): ChosenSeries(**c) for c in content["chosen"]}
    return Inventory(chosen=chosen, findings=tuple(Finding(**f) for f in content["findings"]))
