"""What there is to say about the label maps of readers before a run: missing, misnamed, standing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mriseg.errors import StudyError
from mriseg.study.findings import Finding, Key
from mriseg.study.inventory import Inventory
from mriseg.study.mask_files import (
    ENDINGS,
    TEXTS,
    mask_files,
    mentions,
    named_as,
    no_mask,
    reader_file,
    reader_or_none,
    shown_mask,
)
from mriseg.study.model import Study

PATTERN = f"masks/sub-X_ses-Y_dseg and one of {', '.join(ENDINGS)}"


def with_masks(study: Study, inventory: Inventory) -> Inventory:
    """Add to an inventory what there is to say about the label maps of readers."""
    return replace(inventory, findings=(*inventory.findings, *mask_findings(study)))


def mask_findings(study: Study) -> list[Finding]:
    """List masks that are missing, stand twice, would not be read, or belong to no visit."""
    keys = [(p.participant_id, visit) for p in study.participants for visit in study.visit_ids]
    found = list(_of_visits(study, keys))
    known = {f for key in keys for f in named_as(study.paths.mask(*key))}
    for file in mask_files(study.paths):
        mentioned = [key for key in keys if mentions(file, key)]
        if file in known or file.suffix.lower() in TEXTS:
            continue
        if mentioned and reader_or_none(study.paths, *mentioned[0]) is None:
            continue  # said of its visit already
        name = shown_mask(study.paths, file, [part for key in keys for part in key])
        text = f"{name} belongs to no visit of the study and is not used. Expected {PATTERN}."
        if mentioned:
            text = f"{name} is not used: {' '.join(mentioned[0])} has another file. Remove it."
        found.append(Finding(participant_id="", visit="", severity="warn", finding=text))
    return found


def _of_visits(study: Study, keys: list[Key]) -> Iterator[Finding]:
    readers = study.config.segment.method == "readers"
    missing: list[Key] = []
    for key in keys:
        try:
            file = reader_file(study.paths, *key)
        except StudyError as error:
            yield Finding(participant_id=key[0], visit=key[1], severity="block", finding=str(error))
            continue
        masks = list(named_as(study.paths.mask(*key)))
        if file is None:
            missing.append(key)
        elif masks and file not in masks:
            text = f"{' '.join(key)}: masks/{masks[0].name} is not used: the correction {file.name} goes before it."
            yield Finding(participant_id=key[0], visit=key[1], severity="note", finding=text)
    if readers:
        for key in missing:
            yield Finding(participant_id=key[0], visit=key[1], severity="block", finding=no_mask(study.paths, *key))
    else:
        yield from _partly(keys, missing)


def _partly(keys: list[Key], missing: list[Key]) -> Iterator[Finding]:
    """Masks at some visits only: the network draws the others."""
    if len(missing) == len(keys):
        return
    for name in dict.fromkeys(key[0] for key in missing):
        here = [visit for who, visit in missing if who == name]
        mixed = len(here) < sum(who == name for who, _ in keys)
        text = f"{name}: no label map of a reader at {', '.join(here)}; the network draws it."
        if mixed:
            text += " The other visits have one, so that change between them is in part change of the method."
        yield Finding(participant_id=name, visit="", severity="warn" if mixed else "note", finding=text)
