"""The page of the whole study before unblinding: who is done, who failed and why, what deviates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from mriseg.errors import StudyError
from mriseg.files import write_text
from mriseg.report.render import render
from mriseg.study.group import PatientOutcome, counts
from mriseg.study.model import Study
from mriseg.study.state import Status


def write_study_page(study: Study, outcomes: tuple[PatientOutcome, ...]) -> None:
    """Write ``group/index.html``."""
    found = Counter(o.state for o in outcomes)
    region, metric = (
        (study.config.analysis.region, study.config.analysis.metric) if study.config.analysis else ("FT", "dAB")
    )
    values = _primary_values(study, region, metric)
    patients = [
        {
            "id": o.participant_id,
            "side": study.patient(o.participant_id).participant.side,
            "state": o.state,
            "reasons": o.reasons,
            "page": f"../{o.participant_id}/{o.participant_id}.html" if _has_page(study, o) else None,
            "by_visit": [values.get((o.participant_id, v)) for v in study.visit_ids],
        }
        for o in outcomes
    ]
    page = render(
        "study.html.j2",
        title=study.config.study.title or study.config.study.id,
        summary=counts(outcomes),
        counts={s.value: found[s] for s in Status if found[s] or s in {Status.DONE, Status.FAILED}},
        patients=patients,
        visits=study.visit_ids,
        primary=f"{region} {metric}",
        findings=_findings(study),
    )
    write_text(study.paths.group / "index.html", page)


def _has_page(study: Study, result: PatientOutcome) -> bool:
    return study.paths.page(result.participant_id).exists()


def _primary_values(study: Study, region: str, metric: str) -> dict[tuple[str, str], float]:
    try:
        table = study.table("regions")
    except StudyError:
        return {}
    rows = table[(table["region"] == region) & (table["metric"] == metric)]
    return dict(zip(zip(rows["participant_id"], rows["visit"], strict=True), rows["value"], strict=True))


def _findings(study: Study) -> list[dict[str, Any]]:
    try:
        table = study.table("inventory")
    except (StudyError, pd.errors.EmptyDataError):
        return []
    rows: list[dict[str, Any]] = table[table["severity"] != "chosen"].fillna("").to_dict(orient="records")  # type: ignore[assignment]
    return rows
