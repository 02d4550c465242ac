"""Outputs with the visit order masked: scans are called A and B, and a key kept elsewhere says which is which."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom
from string import ascii_uppercase

import numpy as np
import pandas as pd

from mriseg.errors import StudyError
from mriseg.files import read_json, replacing, sha256, write_json, write_text
from mriseg.nifti import read_label_map
from mriseg.report import figures
from mriseg.report.patient import shown_rows
from mriseg.report.render import render
from mriseg.segment.readers import adopt_mask
from mriseg.study.changes import what_changed
from mriseg.study.correcting import save_correction
from mriseg.study.model import Patient, Study
from mriseg.study.reviews import Review
from mriseg.types import Bone, Label

TELLS_THE_ORDER = ("matched_defect_id", "change_mm2", "fate")
KEY_COLUMNS = ["participant_id", "scan", "visit"]


def draw_key(visits: dict[str, Sequence[str]], rng: Random | None = None) -> pd.DataFrame:
    """Call the visits of each participant A, B, ... in an order of its own.

    Parameters
    ----------
    visits : dict
        Participant -> visit ids.
    rng : random.Random, optional
        The system's own randomness by default, since an order that follows from a known seed masks nothing.

    Returns
    -------
    DataFrame
        participant_id, scan, visit.
    """
    rng = rng or SystemRandom()
    rows = [
        (participant, ascii_uppercase[i], visit)
        for participant, names in visits.items()
        for i, visit in enumerate(rng.sample(list(names), len(names)))
    ]
    return pd.DataFrame(rows, columns=KEY_COLUMNS)


def mask_table(table: pd.DataFrame, key: pd.DataFrame) -> pd.DataFrame:
    """Put the scan in the place of the visit, rows in the order of the scans, without columns that tell the order.

    Raises
    ------
    StudyError
        The key does not cover a visit of the table.
    """
    names = dict(zip(zip(key["participant_id"], key["visit"], strict=True), key["scan"], strict=True))
    pairs = list(zip(table["participant_id"], table["visit"], strict=True))
    absent = sorted({pair for pair in pairs if pair not in names})
    if absent:
        raise StudyError(f"The key does not cover {absent[0][0]}, {absent[0][1]}; give a new key file.")
    masked = table.drop(columns=[c for c in TELLS_THE_ORDER if c in table]).rename(columns={"visit": "scan"})
    masked["scan"] = [names[pair] for pair in pairs]
    return masked.sort_values(["participant_id", "scan"], kind="stable", ignore_index=True)


def write_masked(study: Study, out: Path, key_file: Path) -> int:
    """Write tables, images, label maps and one page a patient under ``out``, and the key where there is none yet.

    Returns the number of patients. ``out/masked.json`` holds the SHA-256 of the key, so that the key which opens the
    reading later is the one that it was made with. Nothing here knows an arm.

    Raises
    ------
    StudyError
        The key would lie among the masked files, or does not cover the study.
    """
    if key_file.resolve().is_relative_to(out.resolve()):
        raise StudyError(f"{key_file} lies inside {out}; keep the key where the reader cannot see it.")
    patients = [p for p in study.patients() if study.paths.regions(p.id).exists()]
    if not key_file.exists():
        drawn = draw_key({p.id: tuple(p.regions()["visit"].unique()) for p in patients})
        write_text(key_file, drawn.to_csv(index=False))
    key = read_key(key_file)
    maps: dict[str, str] = {}
    for name in ("regions", "defects"):
        write_text(out / f"{name}.tsv", mask_table(study.table(name), key).to_csv(sep="\t", index=False))
    for patient in patients:
        write_text(out / f"{patient.id}.html", masked_page(patient, key))
        for scan, visit in _scans(patient, key).items():
            for path in (study.paths.image(patient.id, visit), study.paths.labels(patient.id, visit)):
                with replacing(out / path.name.replace(f"_ses-{visit}_", f"_scan-{scan}_")) as partial:
                    shutil.copyfile(path, partial)
            maps[f"{patient.id} {scan}"] = sha256(study.paths.labels(patient.id, visit))
    content = {"key_sha256": sha256(key_file), "patients": [p.id for p in patients], "maps": maps}
    write_json(out / "masked.json", content)
    return len(patients)


def read_key(key_file: Path) -> pd.DataFrame:
    """Read a key: participant_id, scan, visit."""
    return pd.read_csv(key_file, dtype=str)


def take_masked(study: Study, out: Path, key_file: Path, *, reader: str) -> tuple[Review, ...]:
    """Take the label maps that a reader corrected under ``out`` back to the visits that the key names.

    A map that is as it was written is no correction and is left alone.

    Raises
    ------
    StudyError
        The key is another one than the folder was made with, or a map of the study changed since.
    """
    made = read_json(out / "masked.json")
    if made["key_sha256"] != sha256(key_file):
        raise StudyError(f"{key_file.name} is not the key that {out.name} was made with; its visits would be wrong.")
    taken = []
    for participant, scan, visit in read_key(key_file)[KEY_COLUMNS].itertuples(index=False, name=None):
        path = out / study.paths.labels(participant, visit).name.replace(f"_ses-{visit}_", f"_scan-{scan}_")
        of_map = made["maps"].get(f"{participant} {scan}")
        if of_map is None or sha256(path) == of_map:
            continue
        patient = study.patient(participant)
        labels = adopt_mask(read_label_map(path), patient.image(visit).grid, name=path.name)
        if what_changed(patient.labels(visit), labels)["voxels"]:
            taken.append(
                save_correction(patient, visit, labels, reader=reader, of_map=of_map, comment="", seconds=None)
            )
    return tuple(taken)


def masked_page(patient: Patient, key: pd.DataFrame) -> str:
    """Return the page of one patient with scans for visits: images, thickness, defects and values, and no change."""
    scans = _scans(patient, key)
    regions, defects = mask_table(patient.regions(), key), mask_table(patient.defects(), key)
    return render(
        "masked.html.j2",
        id=patient.id,
        side=patient.side.value,
        scans=list(scans),
        legend=[(label.name.replace("_", " ").lower(), figures.label_colour(label)) for label in Label],
        slices=[(scan, figures.slices(patient.image(v), patient.labels(v), patient.side)) for scan, v in scans.items()],
        thickness=_thickness(patient, scans),
        defects=defects.replace({np.nan: None}).to_dict(orient="records"),
        rows=shown_rows(regions.rename(columns={"scan": "visit"}), tuple(scans)),
    )


def _scans(patient: Patient, key: pd.DataFrame) -> dict[str, str]:
    """Scan -> visit of one patient, in the order of the scans."""
    own = key[key["participant_id"] == patient.id].sort_values("scan")
    return dict(zip(own["scan"], own["visit"], strict=True))


def _thickness(patient: Patient, scans: dict[str, str]) -> list[tuple[str, str, bytes]]:
    """Bone, scan and map of each measured surface; each scan alone, since a map of change would be read as time."""
    pictures = []
    for bone in Bone:
        file = patient.surfaces.get(bone)
        if file is None or not (file.surface.region > 0).any():
            continue
        for scan, visit in scans.items():
            found = file.thickness.get(visit)
            if found is not None:
                picture = figures.thickness(file.surface, {scan: (found.thickness_mm, found.state)})
                pictures.append((bone.value, scan, picture))
    return pictures
