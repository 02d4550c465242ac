"""What waits for a reader, worst first, and the one door through which verdicts enter a study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriseg.errors import StudyError
from mriseg.files import sha256
from mriseg.study.model import Patient, Study
from mriseg.study.reviews import ReadVerdict, Review, append_review, new_review
from mriseg.study.verdicts import Judgement, Standing
from mriseg.types import RowState, Verdict

DEFAULT_ENDPOINT = ("FT", "dAB")
_WORST_FIRST = (Verdict.FAILED, Verdict.NEEDS_REVIEW, Verdict.COARSE, Verdict.GOOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One visit of one patient as a reader meets it.

    ``verdict`` and ``reasons`` are those of the segmentation; ``needs_review`` says whether any value of the visit
    counts only once a reader accepts the map; ``change`` is that of the primary endpoint between the visits of this
    patient, without its sign, NaN where unknown.
    """

    participant_id: str
    visit: str
    verdict: Verdict
    reasons: tuple[str, ...]
    needs_review: bool
    judgement: Judgement
    change: float

    @property
    def waits(self) -> bool:
        """Whether a reader has to look at it before its values count."""
        unsettled = self.judgement.standing in (Standing.UNJUDGED, Standing.DISPUTED)
        return unsettled and (self.needs_review or self.judgement.standing is Standing.DISPUTED)


def worklist(study: Study) -> tuple[Reading, ...]:
    """Every visit with a label map: who waits first, then by the worst verdict and the largest change of the patient.

    Blind to the arm, and the same whichever visit came first.
    """
    patients = [readings_of(patient) for patient in study.patients()]
    return tuple(reading for group in sorted(filter(None, patients), key=_badness) for reading in group)


def readings_of(patient: Patient) -> tuple[Reading, ...]:
    """Readings of one patient, in the order of the visits; none where no label map exists."""
    judgements, change = patient.judgements(), _change(patient)
    measured = patient.study.paths.regions(patient.id).exists()
    table = patient.measured_regions() if measured else None
    readings = []
    for visit in patient.visits:
        found = patient.segmentation(visit)["assessment"]
        rows = table is not None and bool(((table["visit"] == visit) & (table["state"] == RowState.NEEDS_REVIEW)).any())
        readings.append(
            Reading(
                participant_id=patient.id,
                visit=visit,
                verdict=Verdict(found["verdict"]),
                reasons=tuple(found["reasons"]),
                needs_review=rows or found["verdict"] == Verdict.NEEDS_REVIEW,
                judgement=judgements[patient.id, visit],
                change=change,
            )
        )
    return tuple(readings)


def _badness(readings: tuple[Reading, ...]) -> tuple[bool, int, float, str]:
    worst = min(_WORST_FIRST.index(r.verdict) for r in readings)
    change = readings[0].change
    return (
        not any(r.waits for r in readings),
        worst,
        -change if np.isfinite(change) else 0.0,
        readings[0].participant_id,
    )


def primary_endpoint(study: Study) -> tuple[str, str]:
    """Region and metric that the study is about; femorotibial denuded area where no analysis is planned."""
    plan = study.config.analysis
    return (plan.region, plan.metric) if plan else DEFAULT_ENDPOINT


def endpoint_value(patient: Patient, visit: str) -> dict[str, object]:
    """Primary endpoint of one visit as it was measured: region, metric, value (None where unknown), unit and state."""
    region, metric = primary_endpoint(patient.study)
    if patient.study.paths.regions(patient.id).exists():
        table = patient.measured_regions()
        rows = table[(table["region"] == region) & (table["metric"] == metric) & (table["visit"] == visit)]
        for _, row in rows.iterrows():
            value = float(row["value"]) if np.isfinite(row["value"]) else None
            return {"region": region, "metric": metric, "value": value, "unit": row["unit"], "state": row["state"]}
    return {"region": region, "metric": metric, "value": None, "unit": "", "state": RowState.MISSING.value}


def _change(patient: Patient) -> float:
    if not patient.study.paths.regions(patient.id).exists():
        return float("nan")
    region, metric = primary_endpoint(patient.study)
    table = patient.measured_regions()
    values = table[(table["region"] == region) & (table["metric"] == metric)]["value"].to_numpy(dtype=float)
    return float(np.ptp(values)) if len(values) > 1 and np.isfinite(values).all() else float("nan")


def judge(
    study: Study,
    participant: str,
    visit: str,
    verdict: ReadVerdict,
    *,
    reader: str,
    comment: str = "",
    seconds: float | None = None,
    of_map: str | None = None,
) -> Review:
    """Record that a reader accepts or rejects the label map that is there now.

    Parameters
    ----------
    of_map : str, optional
        SHA-256 of the map that the reader looked at; a verdict on another one is refused.

    Raises
    ------
    StudyError
        Where patient or visit is unknown, there is no label map, or it changed while it was read.
    """
    patient = study.patient(participant)
    if visit not in study.visit_ids:
        raise StudyError(f"{participant}: {visit!r} is no visit of this study; it has {', '.join(study.visit_ids)}.")
    if visit not in patient.visits:
        raise StudyError(f"{participant} {visit}: there is no label map to judge. Run `mriseg run` first.")
    found = sha256(study.paths.labels(participant, visit))
    if of_map is not None and of_map != found:
        raise StudyError(f"{participant} {visit}: the label map changed while it was read. Look at the new one first.")
    review = new_review(participant, visit, verdict, reader=reader, map_sha256=found, comment=comment, seconds=seconds)
    append_review(study.paths.reviews, review)
    return review
