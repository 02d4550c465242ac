"""A study and its patients, as notebooks, pages and commands see them. Reading only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mriseg.errors import StudyError
from mriseg.files import read_json, sha256
from mriseg.study.config import StudyConfig, read_config
from mriseg.study.manifest import Participant, VisitEntry, check_visits, read_participants, read_visits
from mriseg.study.paths import StudyPaths, sidecar_of
from mriseg.study.reviews import Review, read_reviews
from mriseg.study.surface_files import SurfaceFile, read_surface
from mriseg.study.verdicts import Judgement, judged_defects, judged_regions, verdict_of
from mriseg.types import Bone, LabelMap, Measurement, RigidTransform, Side, Volume

PAIR = 2  # visits of a study whose files need not name the later one


@dataclass(frozen=True)
class Study:
    """One study folder, opened for reading.

    Examples
    --------
    >>> study = open_study("sample_data/study")  # doctest: +SKIP
    >>> study.patient("sub-03").regions()  # doctest: +SKIP
    """

    paths: StudyPaths
    config: StudyConfig
    participants: tuple[Participant, ...]
    entries: Mapping[tuple[str, str], VisitEntry]

    def patient(self, participant_id: str) -> Patient:
        """Return one patient; an unknown id is an error that lists the known ones."""
        for person in self.participants:
            if person.participant_id == participant_id:
                return Patient(study=self, participant=person)
        known = ", ".join(p.participant_id for p in self.participants)
        raise StudyError(f"{participant_id} is not in participants.tsv, which lists {known}.")

    def __getitem__(self, participant_id: str) -> Patient:
        """Return one patient, as :meth:`patient` does."""
        return self.patient(participant_id)

    def __len__(self) -> int:
        """Number of patients."""
        return len(self.participants)

    def __iter__(self) -> Iterator[Patient]:
        """Yield every patient, in the order of the manifest."""
        return iter(self.patients())

    def __repr__(self) -> str:
        table = self.config.study
        return f"<Study {table.id}: {len(self)} patients, visits {', '.join(self.visit_ids)}>"

    def patients(self) -> tuple[Patient, ...]:
        """Return all patients, in the order of the manifest."""
        return tuple(Patient(study=self, participant=p) for p in self.participants)

    @property
    def visit_ids(self) -> tuple[str, ...]:
        """Ids of the visits, baseline first."""
        return tuple(v.id for v in self.config.visits)

    def reviews(self) -> tuple[Review, ...]:
        """Everything that readers decided so far, oldest first."""
        return read_reviews(self.paths.reviews)

    def table(self, name: str) -> pd.DataFrame:
        """Read a table of the group: regions, defects, failures or inventory; an error where it is not made yet."""
        return read_tsv(self.paths.group / f"{name}.tsv")


@dataclass(frozen=True)
class Patient:
    """One patient of a study; every method reads what the run wrote and says what is missing."""

    study: Study
    participant: Participant
    blocked: Mapping[str, str] = field(default_factory=dict)

    @property
    def planned(self) -> tuple[str, ...]:
        """Visits that nothing blocks, baseline first; ``blocked`` says why of the others, where a run found out."""
        return tuple(v for v in self.study.visit_ids if v not in self.blocked)

    @property
    def id(self) -> str:
        """Participant id."""
        return self.participant.participant_id

    @property
    def side(self) -> Side:
        """Which knee; an error where the manifest does not say."""
        if self.participant.side is None:
            raise StudyError(self.participant.problem or f"{self.id} has no side.")
        return self.participant.side

    @property
    def visits(self) -> tuple[str, ...]:
        """Visits that were measured or could be: those with a label map."""
        return tuple(v for v in self.planned if self.study.paths.labels(self.id, v).exists())

    def image(self, visit: str) -> Volume:
        """MR volume of one visit."""
        from mriseg.nifti import read_volume  # nibabel only where an image is read

        return read_volume(self._existing(self.study.paths.image(self.id, visit)))

    def labels(self, visit: str) -> LabelMap:
        """Label map of one visit."""
        from mriseg.nifti import read_label_map  # nibabel only where an image is read

        return read_label_map(self._existing(self.study.paths.labels(self.id, visit)))

    def segmentation(self, visit: str) -> dict[str, Any]:
        """Read where a label map came from, its verdict and reasons: the sidecar of the segmentation."""
        return read_json(self._existing(sidecar_of(self.study.paths.labels(self.id, visit))))

    @property
    def later(self) -> tuple[str, ...]:
        """Visits after baseline that nothing blocks."""
        return tuple(v for v in self.planned if v != self.study.visit_ids[0])

    def registration_path(self, visit: str) -> Path:
        """File with the transforms from baseline to a later visit."""
        named = visit if len(self.study.visit_ids) > PAIR else ""
        return self.study.paths.registration(self.id, named)

    def transforms(self, visit: str | None = None) -> dict[Bone, RigidTransform]:
        """Motion of every registered bone, baseline -> ``visit`` (the first later one) RAS mm."""
        bones = self.registration(visit)["bones"]
        return {Bone(name): RigidTransform(matrix=entry["matrix_ras_mm"]) for name, entry in bones.items()}

    def registration(self, visit: str | None = None) -> dict[str, Any]:
        """Read the registration of ``visit`` (the first later one) with its assessment; no file means no bones."""
        chosen = visit or next(iter(self.later), "")
        path = self.registration_path(chosen) if chosen else None
        return read_json(path) if path is not None and path.exists() else {"bones": {}}

    def remeasure(self, **values: Any) -> Measurement:
        """Measure this patient again with other numbers, without writing anything.

        ``values`` are fields of :class:`mriseg.measure.MeasureParameters`; two underscores reach into a group:
        ``patient.remeasure(rim_mm=2.0, cover__wall_level=0.5)``. Without any, what the run measured is repeated.
        """
        from mriseg.study.measuring import measure_again

        return measure_again(self, values)

    def regions(self) -> pd.DataFrame:
        """Regional values of all visits, long, with the state that the readers' judgement gives them."""
        return judged_regions(self.measured_regions(), self.judgements())

    def measured_regions(self) -> pd.DataFrame:
        """Regional values as they were measured, before any reader judged: the patient's own ``regions.tsv``."""
        return read_tsv(self._existing(self.study.paths.regions(self.id)))

    def defects(self) -> pd.DataFrame:
        """Defects of all visits whose label map no reader rejected, as in ``group/defects.tsv``."""
        return judged_defects(read_tsv(self._existing(self.study.paths.defects(self.id))), self.judgements())

    def judgements(self) -> dict[tuple[str, str], Judgement]:
        """Where the label map of every visit stands after all reviews, by participant and visit."""
        reviews, labels = self.study.reviews(), self.study.paths.labels
        return {(self.id, v): verdict_of(reviews, self.id, v, sha256(labels(self.id, v))) for v in self.visits}

    @cached_property
    def surfaces(self) -> dict[Bone, SurfaceFile]:
        """Bone surfaces with the thickness of every visit, in the right-knee frame."""
        folder = self.study.paths.surfaces(self.id)
        return {b: read_surface(p) for b in Bone if (p := folder / f"{b.value}.npz").exists()}

    def surface(self, bone: str, visit: str | None = None) -> SurfaceFile:
        """Surface of one bone: in the scanner space of a visit, or in the right-knee half-way space of all.

        Examples
        --------
        >>> nib.save(study["sub-03"].surface("tibia", "month6").to_gifti(), "tibia.surf.gii")  # doctest: +SKIP
        """
        from mriseg.study.spaces import surface_at

        known = {b.value: b for b in Bone}
        if bone not in known or known[bone] not in self.surfaces:
            raise StudyError(f"{self.id}: there is no surface of {bone!r}; found {', '.join(map(str, self.surfaces))}.")
        return self.surfaces[known[bone]] if visit is None else surface_at(self, known[bone], visit)

    def lesions(self, visit: str) -> pd.DataFrame:
        """Lesions of one visit with ``x_mm``, ``y_mm``, ``z_mm`` of their centres in that visit's scanner space."""
        from mriseg.study.spaces import BONE_OF_PREFIX, in_scanner_space

        found = self.defects()
        found = found[found["visit"] == visit].reset_index(drop=True)
        inner = found[["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"]].to_numpy(dtype=np.float64)
        bones = [BONE_OF_PREFIX[name[0]] for name in found["defect_id"]]
        rows = [in_scanner_space(self, bone, visit, point[None])[0] for bone, point in zip(bones, inner, strict=True)]
        found[["x_mm", "y_mm", "z_mm"]] = np.reshape(rows, (-1, 3))
        return found

    def __repr__(self) -> str:
        return (
            f"<Patient {self.id}: side {self.participant.side or 'unknown'}, visits {', '.join(self.visits) or 'none'}>"
        )

    def failures(self) -> list[dict[str, Any]]:
        """Blocked visits and recorded failures of this patient."""
        folders = (self.study.paths.patient(self.id), self.study.paths.group)
        files = sorted(p for f in folders for p in (f / "failures").glob(f"{self.id}_*.json"))
        blocked = [self.failure("intake", v, why) for v, why in self.blocked.items()]
        return blocked + [f for p in files if (f := _record(p))]

    def failure(self, step: str, visit: str, reason: str, *, hint: str = "", log: str = "") -> dict[str, Any]:
        """Return the record of a failure, with the columns of ``failures.tsv``."""
        where = {"participant_id": self.id, "visit": visit, "step": step, "state": "failed"}
        return where | {"reason": reason, "hint": hint, "log": log}

    def _existing(self, path: Path) -> Path:
        if path.exists():
            return path
        failed = "; ".join(f["reason"] for f in self.failures())
        raise StudyError(f"{self.id}: {path.name} does not exist. {failed or 'Run `mriseg run` first.'}")


def open_study(path: str | Path) -> Study:
    """Open a study folder.

    Raises
    ------
    StudyError
        Where ``study.toml``, ``participants.tsv`` or ``visits.tsv`` is absent or wrong.
    """
    paths = StudyPaths(Path(path).resolve())
    if not paths.root.is_dir():
        raise StudyError(f"{path}: no such folder. Expected a study folder with study.toml.")
    config = read_config(paths.config)
    participants = read_participants(paths.participants)
    entries = read_visits(paths.visits)
    check_visits(entries, (p.participant_id for p in participants), (v.id for v in config.visits))
    return Study(paths=paths, config=config, participants=participants, entries=entries)


def _record(path: Path) -> dict[str, Any]:
    """Read a record of failure; an empty one where it cannot be read, so that the step is tried again."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if {"step", "visit", "reason", "recipe"} <= content.keys() else {}


def read_tsv(path: Path) -> pd.DataFrame:
    """Read a table of the study, ids as text; an error where it is not made yet."""
    if not path.exists():
        raise StudyError(f"{path.name} does not exist yet. Run `mriseg run` first.")
    return pd.read_csv(path, sep="\t", dtype={"participant_id": str, "visit": str})
