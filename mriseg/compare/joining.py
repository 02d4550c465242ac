"""Measurements, participants and allocation joined to one trial, after they were checked against each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.tables import (
    as_text,
    check_allocation,
    check_participants,
    check_values,
    clean_ids,
    need_columns,
    some,
    yes_no,
)
from mriseg.compare.trial import Availability, Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, RowState


def build_trial(
    values: pd.DataFrame,
    participants: pd.DataFrame | None,
    allocation: pd.DataFrame,
    plan: AnalysisPlan,
    *,
    failures: pd.DataFrame | None = None,
) -> Trial:
    """Join measurements, participants and allocation.

    Parameters
    ----------
    values : DataFrame
        Long table of ``regions.tsv``.
    participants : DataFrame or None
        ``participants.tsv``; without it everybody in the allocation counts as enrolled.
    allocation : DataFrame
        participant_id, arm.
    plan : AnalysisPlan
    failures : DataFrame or None
        ``failures.tsv``: participant_id and, where known, visit.

    Returns
    -------
    Trial

    Raises
    ------
    AnalysisError
        The tables contradict each other or the plan.
    """
    arms = check_allocation(allocation, (plan.reference, plan.treated))
    table = check_values(values)
    people = None if participants is None else check_participants(participants)
    enrolled, notes = _agree(set(arms), set(table["participant_id"]), people)
    ids = sorted(enrolled)
    table = table[table["participant_id"].isin(enrolled)]
    table, people = _one_knee(table, people, ids)
    visits = _visits(table, plan)
    endpoints = _endpoints(table, plan)
    cube, states, units = _cube(table, ids, visits, endpoints, plan)
    if failures is not None and len(failures):
        _mark_failures(states, failures, ids, visits)
    cube[states != Availability.MEASURED] = np.nan
    return Trial(
        participants=tuple(ids),
        treated=np.array([arms[i] == plan.treated for i in ids], dtype=bool),
        visits=visits,
        endpoints=endpoints,
        units=units,
        values=cube,
        availability=states,
        people=people,
        notes=tuple(notes),
    )


def _agree(allocated: set[str], measured: set[str], people: pd.DataFrame | None) -> tuple[set[str], list[str]]:
    """Randomised participants, after the three lists were checked against each other."""
    listed = measured if people is None else set(people["participant_id"])
    outside: set[str] = set()
    if people is not None and "randomised" in people:
        outside = set(people.loc[~yes_no(people["randomised"], "randomised"), "participant_id"])
    strangers = sorted(measured - listed)
    if strangers:
        raise AnalysisError(f"Measured but not in participants.tsv: {some(strangers)}.")
    unknown = sorted(allocated - listed)
    if people is not None and unknown:
        raise AnalysisError(
            f"In the allocation but not in the study: {some(unknown)}. "
            "Check the ids; participants.tsv lists everybody enrolled."
        )
    unallocated = sorted(listed - allocated - outside)
    if unallocated:
        raise AnalysisError(
            f"In the study but not in the allocation: {some(unallocated)}. Check the ids, or mark who was never "
            "randomised with 'no' in a column randomised of participants.tsv."
        )
    notes = [f"Randomised without any measurement, counted as not scanned: {some(unknown)}."] if unknown else []
    contradicted = sorted(allocated & outside)
    if contradicted:
        raise AnalysisError(f"In the allocation, but not randomised says participants.tsv: {some(contradicted)}.")
    return allocated, notes


def _one_knee(table: pd.DataFrame, people: pd.DataFrame | None, ids: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the trial knee of each participant; two knees without a named side are refused."""
    people = pd.DataFrame({"participant_id": ids}) if people is None else people
    people = people.set_index("participant_id").reindex(ids)
    if "side" in people:
        side = as_text(table["participant_id"].map(people["side"]))
        table = table[(side == table["side"]) | (side == "") | (table["side"] == "")]
    knees = table.groupby("participant_id")["side"].nunique()
    both = sorted(knees.index[knees > 1])
    if both:
        raise AnalysisError(
            f"Two knees are measured of {some(both)}; name the trial knee in the column side of participants.tsv."
        )
    return table, people


def _visits(table: pd.DataFrame, plan: AnalysisPlan) -> tuple[str, ...]:
    """Baseline, the visits between in the order of the plan or the table, and the follow-up."""
    found = list(dict.fromkeys(table["visit"]))
    for visit in (plan.baseline, plan.followup):
        if visit not in found:
            raise AnalysisError(f"No measurement at visit {visit!r}; the table holds {', '.join(found) or 'no visit'}.")
    rest = [v for v in (plan.visits or found) if v not in (plan.baseline, plan.followup)]
    return (plan.baseline, *rest, plan.followup)


def _endpoints(table: pd.DataFrame, plan: AnalysisPlan) -> tuple[Endpoint, ...]:
    """Every endpoint of the table: primary, declared secondaries, then the rest in alphabetical order."""
    pairs = table[["region", "metric"]].drop_duplicates().itertuples(index=False)
    found = {Endpoint(region=str(r), metric=str(m)) for r, m in pairs}
    if plan.primary not in found:
        raise AnalysisError(
            f"The table holds no values of the primary endpoint, region {plan.region}, metric {plan.metric}; "
            f"it holds {some(sorted(map(str, found)))}."
        )
    declared = [plan.primary, *(e for e in plan.secondary if e in found)]
    return (*declared, *sorted(found - set(declared), key=str))


def _cube(
    table: pd.DataFrame, ids: list[str], visits: tuple[str, ...], endpoints: tuple[Endpoint, ...], plan: AnalysisPlan
) -> tuple[FloatArray, npt.NDArray[np.int8], tuple[str, ...]]:
    """Spread the long table over (visit, participant, endpoint)."""
    keys = [(e.region, e.metric) for e in endpoints]
    rows = table[table["visit"].isin(visits)]
    t = pd.Index(visits).get_indexer(pd.Index(rows["visit"]))
    p = pd.Index(ids).get_indexer(pd.Index(rows["participant_id"]))
    e = pd.MultiIndex.from_tuples(keys).get_indexer(pd.MultiIndex.from_frame(rows[["region", "metric"]]))
    shape = (len(visits), len(ids), len(endpoints))
    cube = np.full(shape, np.nan)
    states = np.full(shape, Availability.NOT_SCANNED, dtype=np.int8)
    scanned = np.zeros(shape[:2], dtype=bool)
    scanned[t, p] = True
    # a knee that was measured at a visit but has no row for one endpoint was scanned: the value failed
    states[scanned] = Availability.FAILED
    cube[t, p, e] = rows["value"].to_numpy(dtype=float)
    states[t, p, e] = _row_availability(rows, include_review=plan.include_needs_review)
    units = table.drop_duplicates(["region", "metric"]).set_index(["region", "metric"])["unit"]
    return cube, states, tuple(str(units[key]) for key in keys)


def _row_availability(rows: pd.DataFrame, *, include_review: bool) -> npt.NDArray[np.int8]:
    """Availability of each row of the long table; a measured row without a value failed."""
    state = rows["state"].to_numpy(dtype=str)
    known = {str(s) for s in RowState}
    strange = sorted(set(state) - known)
    if strange:
        raise AnalysisError(f"The table holds the state(s) {some(strange)}; expected {', '.join(sorted(known))}.")
    review = state == RowState.NEEDS_REVIEW
    good = (state == RowState.MEASURED) | (review & include_review)
    out = np.where(review, Availability.NEEDS_REVIEW, Availability.FAILED)
    out[state == RowState.REJECTED] = Availability.REJECTED
    out[good] = Availability.MEASURED
    out[good & ~np.isfinite(rows["value"].to_numpy(dtype=float))] = Availability.FAILED
    return out.astype(np.int8)


def _mark_failures(
    states: npt.NDArray[np.int8], failures: pd.DataFrame, ids: list[str], visits: tuple[str, ...]
) -> None:
    """Turn "not scanned" into "failed" where a failure was recorded, in place."""
    need_columns(failures, ["participant_id"], "failures.tsv")
    who = pd.Index(ids).get_indexer(pd.Index(clean_ids(failures["participant_id"])))
    when = as_text(failures["visit"]) if "visit" in failures else pd.Series([""] * len(failures))
    for row, visit in zip(who, when, strict=True):
        # a failure without a visit concerns all of them
        for t in [t for t, name in enumerate(visits) if visit in ("", name) and row >= 0]:
            absent = states[t, row] == Availability.NOT_SCANNED
            states[t, row, absent] = Availability.FAILED
