"""Write a simulated trial: the study folder as a site would send it, and the truth beside it, never inside."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pandas as pd

from mriseg.nifti import write_label_map
from mriseg.simulate.dicom_writer import SeriesInfo, write_series
from mriseg.simulate.plates import WEIGHT_BEARING
from mriseg.simulate.trial import BASELINE, FOLLOWUP, FOLLOWUP_DAY, Participant, ParticipantOutput, TrialPlan

TRUTH_COLUMNS = ["participant_id", "visit", "side", "region", "kind", "defect_id", "metric", "value", "unit"]

STUDY_TOML = """\
[study]
id = "{trial}"
title = "{title}"

[[visits]]
id = "{baseline}"
day = 0
window = [-14, 14]

[[visits]]
id = "{followup}"
day = {day}
window = [150, 215]

[series]
description = "(?i){pattern}"

[segment]
method = "readers"

[segment.labels]
1 = 1
2 = 2
3 = 3
4 = 4
5 = 5
6 = 6

[measure]
band_pct = {band_pct:.1f}  # as the truth is cut

[defects]
min_area_mm2 = 5.0

[analysis]
region = "FT"
metric = "dAB"
baseline = "{baseline}"
followup = "{followup}"
reference = "{reference}"
treated = "{treated}"
covariates = []
strata = []
seed = 20260101
"""


def write_study_files(study: Path, plan: TrialPlan, people: Iterable[Participant], *, title: str) -> None:
    """Write ``study.toml`` and ``participants.tsv``; the arm is in neither."""
    study.mkdir(parents=True, exist_ok=True)
    reference, treated = list(plan.arms)
    text = STUDY_TOML.format(
        trial=plan.trial,
        title=title,
        baseline=BASELINE,
        followup=FOLLOWUP,
        day=FOLLOWUP_DAY,
        band_pct=100.0 * WEIGHT_BEARING,
        pattern=plan.sequence.description.split("_")[2].lower(),
        reference=reference,
        treated=treated,
    )
    (study / "study.toml").write_text(text, encoding="utf-8")
    rows = [
        {"participant_id": p.participant_id, "side": p.side.value, "site": p.site, "kl_grade": p.kl_grade}
        for p in people
    ]
    pd.DataFrame(rows).to_csv(study / "participants.tsv", sep="\t", index=False, lineterminator="\n")


def write_participant(
    study: Path, plan: TrialPlan, person: Participant, output: ParticipantOutput, *, truth: Path, dates: dict[str, date]
) -> None:
    """Write DICOM and reader masks into the study, and the true label maps beside it."""
    for visit, result in output.visits.items():
        info = SeriesInfo(
            trial=plan.trial,
            participant=person.participant_id,
            visit=visit,
            site=person.site,
            side=person.side,
            date=dates[visit],
            sequence=plan.sequence,
            description=plan.sequence.description,
            number=3,
            seed=plan.seed,
        )
        write_series(study / "dicom" / person.participant_id / visit, result.volume, info, compress=plan.compress)
        name = f"{person.participant_id}_ses-{visit}_dseg.nii.gz"
        write_label_map(study / "masks" / name, result.labels)
        write_label_map(truth / "labels" / name, result.labels)


def truth_table(person: Participant, output: ParticipantOutput) -> pd.DataFrame:
    """Rows of ``truth.tsv`` of one participant."""
    rows = [
        (person.participant_id, visit, person.side.value, r.region, r.kind, r.defect_id, r.metric, r.value, r.unit)
        for visit, result in output.visits.items()
        for r in result.truth
    ]
    return pd.DataFrame(rows, columns=TRUTH_COLUMNS)


def motion_record(output: ParticipantOutput) -> dict[str, object]:
    """True motion of every bone, in the shape of the file of `mriseg register`; empty where it is not known."""
    if output.motion is None:
        return {}
    return {"bones": {bone.value: {"matrix_ras_mm": t.matrix.tolist()} for bone, t in output.motion.items()}}


def write_truth(
    truth: Path, people: list[Participant], tables: list[pd.DataFrame], motion: dict[str, dict[str, object]]
) -> None:
    """Write ``truth.tsv``, ``motions.json`` and, for knees from label maps, ``sources.tsv``."""
    truth.mkdir(parents=True, exist_ok=True)
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(truth / "truth.tsv", sep="\t", index=False, float_format="%.4f", lineterminator="\n")
    (truth / "motions.json").write_text(json.dumps(motion, indent=1) + "\n", encoding="utf-8")
    sources = [
        {"participant_id": p.participant_id, "visit": visit, "file": source.path.name}
        for p in people
        for visit, source in zip((BASELINE, FOLLOWUP), p.sources, strict=False)
    ]
    if sources:
        pd.DataFrame(sources).to_csv(truth / "sources.tsv", sep="\t", index=False, lineterminator="\n")


def write_allocation(path: Path, people: list[Participant]) -> None:
    """Write who is in which arm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arms = pd.DataFrame([{"participant_id": p.participant_id, "arm": p.arm} for p in people])
    arms.to_csv(path, index=False, lineterminator="\n")
