"""Measurements and participants joined to what is known before the allocation is opened; then the arms."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.design import read_covariates
from mriseg.compare.people import check_allocation, check_participants, yes_no
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.tables import check_values, clean_ids, need_columns, refuse_two_spellings, two_units
from mriseg.compare.trial import Availability, Measurements, Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, RowState
from mriseg.words import side_of, some, words


def build_trial(
    values: pd.DataFrame,
    participants: pd.DataFrame | None,
    allocation: pd.DataFrame,
    plan: AnalysisPlan,
    *,
    failures: pd.DataFrame | None = None,
) -> Trial:
    """Join measurements, participants and allocation: `gather_measurements`, then `open_allocation`."""
    return open_allocation(gather_measurements(values, participants, plan, failures=failures), allocation, plan)


def gather_measurements(
    values: pd.DataFrame,
    participants: pd.DataFrame | None,
    plan: AnalysisPlan,
    *,
    failures: pd.DataFrame | None = None,
    name: str = "regions.tsv",
) -> Measurements:
    """Join measurements and participants, blind to the arm.

    Parameters
    ----------
    values : DataFrame
        Long table of ``regions.tsv``.
    participants : DataFrame or None
        ``participants.tsv``; without it everybody in the allocation counts as enrolled.
    plan : AnalysisPlan
    failures : DataFrame or None
        ``failures.tsv``: participant_id and, where known, visit.
    name : str
        What errors call the table of measurements.

    Returns
    -------
    Measurements

    Raises
    ------
    AnalysisError
        The tables contradict each other or the plan.
    """
    table = check_values(values, name)
    named = (*plan.covariates, *plan.strata, *([plan.per_protocol] if plan.per_protocol else []))
    people = None if participants is None else check_participants(participants, columns=named)
    enrolled = None if people is None else frozenset(people["participant_id"])
    expected = _expected(set(table["participant_id"]), people)
    table = _one_knee(table[table["participant_id"].isin(expected)], people, plan)
    units = two_units(table)
    refused = {Endpoint(region=region, metric=metric): why for (region, metric), why in units.items()}
    if plan.primary in refused:
        raise AnalysisError(f"The primary endpoint {plan.primary} cannot be compared. {refused[plan.primary]}")
    table = table[[key not in units for key in zip(table["region"], table["metric"], strict=True)]]
    ids, visits, endpoints = sorted(expected), _visits(table, plan), _endpoints(table, plan)
    cube, states = _cube(table, ids, visits, endpoints, plan)
    if failures is not None and len(failures):
        _mark_failures(states, failures, ids, visits, enrolled)
    cube[states != Availability.MEASURED] = np.nan
    people = pd.DataFrame(index=pd.Index(ids, name="participant_id")) if people is None else people
    people = people if people.index.name else people.set_index("participant_id").reindex(ids)
    return Measurements(
        participants=tuple(ids),
        enrolled=enrolled,
        visits=visits,
        endpoints=endpoints,
        units=_units(table, endpoints),
        values=cube,
        availability=states,
        people=read_covariates(people, plan),
        refused=refused,
    )


def _expected(measured: set[str], people: pd.DataFrame | None) -> set[str]:
    """Who should be in the allocation: everybody enrolled, less those who were never randomised."""
    if people is None:
        return measured
    strangers = sorted(measured - set(people["participant_id"]))
    if strangers:
        raise AnalysisError(f"Measured but not in participants.tsv: {some(strangers)}.")
    within = yes_no(people["randomised"], "randomised") if "randomised" in people else slice(None)
    return set(people.loc[within, "participant_id"])


def open_allocation(measured: Measurements, allocation: pd.DataFrame, plan: AnalysisPlan) -> Trial:
    """Give every participant the arm of the allocation.

    Parameters
    ----------
    measured : Measurements
    allocation : DataFrame
        participant_id, arm.
    plan : AnalysisPlan

    Raises
    ------
    AnalysisError
        The allocation is wrong by itself, or names others than those who were measured or enrolled.
    """
    arms = check_allocation(allocation, (plan.reference, plan.treated))
    unknown = sorted(set(arms) - set(measured.participants))
    strangers = sorted(set(unknown) - measured.enrolled) if measured.enrolled is not None else []
    if strangers:
        raise AnalysisError(
            f"In the allocation but not in the study: {some(strangers)}. "
            "Check the ids; participants.tsv lists everybody enrolled."
        )
    if unknown and measured.enrolled is not None:
        raise AnalysisError(f"In the allocation, but not randomised says participants.tsv: {some(unknown)}.")
    unallocated = sorted(set(measured.participants) - set(arms))
    if unallocated:
        raise AnalysisError(
            f"In the study but not in the allocation: {some(unallocated)}. Check the ids, or mark who was never "
            "randomised with 'no' in a column randomised of participants.tsv."
        )
    whole = _with_unmeasured(measured, sorted(arms)) if unknown else measured
    parts = {part.name: getattr(whole, part.name) for part in fields(whole)}
    return Trial(**parts, treated=np.array([arms[i] == plan.treated for i in whole.participants], dtype=np.bool_))


def _with_unmeasured(measured: Measurements, ids: list[str]) -> Measurements:
    """Add participants without any measurement, as not scanned, and say so."""
    at = np.searchsorted(ids, measured.participants)
    unknown = sorted(set(ids) - set(measured.participants))
    shape = (len(measured.visits), len(ids), len(measured.endpoints))
    values, states = np.full(shape, np.nan), np.full(shape, Availability.NOT_SCANNED, dtype=np.int8)
    values[:, at], states[:, at] = measured.values, measured.availability
    note = f"Randomised without any measurement, counted as not scanned: {some(unknown)}."
    return replace(
        measured,
        participants=tuple(ids),
        values=values,
        availability=states,
        people=measured.people.reindex(pd.Index(ids, name="participant_id")),
        notes=(*measured.notes, note),
    )


def _one_knee(table: pd.DataFrame, people: pd.DataFrame | None, plan: AnalysisPlan) -> pd.DataFrame:
    """Keep the trial knee of each participant; a side that contradicts it, or two knees without one, are refused."""
    if people is not None and "side" in people:
        table = _trial_knee(table, people.set_index("participant_id")["side"], plan)
    knees = table[table["side"] != ""].groupby("participant_id")["side"].nunique()
    both = sorted(knees.index[knees > 1])
    if both:
        raise AnalysisError(
            f"Two knees are measured of {some(both)}; name the trial knee in the column side of participants.tsv."
        )
    return table


def _trial_knee(table: pd.DataFrame, sides: pd.Series[str], plan: AnalysisPlan) -> pd.DataFrame:
    """Rows of the knee that participants.tsv names; only the other one at a visit of the plan is a contradiction."""
    written = table["participant_id"].map(sides)
    named = written.map({text: str(side_of(text) or "") for text in set(sides)})
    strange = (written != "") & (named == "")
    if strange.any():
        who, text = table.loc[strange, "participant_id"].iloc[0], written[strange].iloc[0]
        raise AnalysisError(f"participants.tsv gives {who} the side {text!r}; expected L or R.")
    own = (named == table["side"]) | (named == "") | (table["side"] == "")
    asked = table["visit"].isin([plan.baseline, plan.followup, *plan.visits])
    only_other = ~own.groupby([table["participant_id"], table["visit"]]).transform("any") & asked
    if only_other.any():
        row = table[only_other].iloc[0]
        people = some(sorted(set(table.loc[only_other, "participant_id"])))
        raise AnalysisError(
            f"participants.tsv says side {named[only_other].iloc[0]} of {row['participant_id']}, the table at visit "
            f"{row['visit']} side {row['side']} alone. Find out which knee is in the trial (so for {people})."
        )
    return table[own]


def _visits(table: pd.DataFrame, plan: AnalysisPlan) -> tuple[str, ...]:
    """Baseline, the visits between in the order of the plan or the table, and the follow-up."""
    found = list(dict.fromkeys(table["visit"]))
    for visit in (plan.baseline, plan.followup, *plan.visits):
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
) -> tuple[FloatArray, npt.NDArray[np.int8]]:
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
    return cube, states


def _units(table: pd.DataFrame, endpoints: tuple[Endpoint, ...]) -> tuple[str, ...]:
    """Unit of each endpoint: that of its values, or of its first row where it has none."""
    valued = table.assign(empty=table["value"].isna()).sort_values("empty", kind="stable")
    units = valued.drop_duplicates(["region", "metric"]).set_index(["region", "metric"])["unit"]
    return tuple(str(units[e.region, e.metric]) for e in endpoints)


def _row_availability(rows: pd.DataFrame, *, include_review: bool) -> npt.NDArray[np.int8]:
    """Availability of each row of the long table; a measured row without a value failed."""
    state = rows["state"].to_numpy(dtype=str)
    review = state == RowState.NEEDS_REVIEW
    good = (state == RowState.MEASURED) | (review & include_review)
    out = np.where(review, Availability.NEEDS_REVIEW, Availability.FAILED)
    out[state == RowState.REJECTED] = Availability.REJECTED
    out[good] = Availability.MEASURED
    out[good & ~np.isfinite(rows["value"].to_numpy(dtype=float))] = Availability.FAILED
    return out.astype(np.int8)


def _mark_failures(
    states: npt.NDArray[np.int8],
    failures: pd.DataFrame,
    ids: list[str],
    visits: tuple[str, ...],
    enrolled: frozenset[str] | None,
) -> None:
    """Turn "not scanned" into "failed" where a failure was recorded, in place."""
    table = need_columns(failures, ["participant_id"], "failures.tsv", ["visit"])
    names = clean_ids(table["participant_id"])
    strangers = sorted(set(names) - enrolled) if enrolled is not None else []
    if strangers:
        raise AnalysisError(f"failures.tsv names {some(strangers)}, who is not in the study. Check the ids.")
    when = words(table["visit"]) if "visit" in table else pd.Series("", index=table.index)
    refuse_two_spellings(pd.concat([when, pd.Series(visits)]), "failures.tsv, column visit, and the measurements")
    for row, visit in zip(pd.Index(ids).get_indexer(pd.Index(names)), when, strict=True):
        # a failure without a visit concerns all of them
        for t in [t for t, name in enumerate(visits) if visit in ("", name) and row >= 0]:
            absent = states[t, row] == Availability.NOT_SCANNED
            states[t, row, absent] = Availability.FAILED
