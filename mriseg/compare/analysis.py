"""Compare the arms of a trial: from tables to every figure of the result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.endpoints import compare_endpoint, compare_others, complete_rows
from mriseg.compare.joining import build_trial
from mriseg.compare.missing import consort_flow, missingness, table_one
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import Comparison
from mriseg.compare.sensitivity import sensitivity_analyses
from mriseg.compare.tables import some
from mriseg.compare.trial import Trial


def compare_table(
    values: pd.DataFrame,
    participants: pd.DataFrame | None,
    allocation: pd.DataFrame,
    plan: AnalysisPlan,
    *,
    failures: pd.DataFrame | None = None,
    sdc: pd.DataFrame | None = None,
) -> Comparison:
    """Compare the arms as the plan says.

    Parameters
    ----------
    values : DataFrame
        ``regions.tsv``: participant_id, visit, side, region, metric, value, unit, state.
    participants : DataFrame or None
        ``participants.tsv``; holds side, strata, covariates, and never an arm.
    allocation : DataFrame
        participant_id, arm.
    plan : AnalysisPlan
    failures : DataFrame or None
        ``failures.tsv``: participant_id and visit of what could not be measured.
    sdc : DataFrame or None
        Smallest detectable change: region, metric, sdc. Without it nobody is called a responder.

    Returns
    -------
    Comparison

    Raises
    ------
    AnalysisError
        The tables contradict each other or the plan, or the primary endpoint cannot be estimated.
    """
    trial = build_trial(values, participants, allocation, plan, failures=failures)
    primary = compare_endpoint(trial, plan)
    secondary, exploratory, refused = compare_others(trial, plan)
    analysed = np.isin(np.arange(len(trial.participants)), primary.rows)
    enrolled = len(trial.participants) if participants is None else len(participants)
    return Comparison(
        plan=plan,
        trial=trial,
        primary=primary,
        secondary=secondary,
        exploratory=exploratory,
        refused=refused,
        missing=missingness(trial, plan),
        flow=consort_flow(trial, plan, analysed=analysed, enrolled=enrolled),
        table1=table_one(trial, plan),
        sensitivity=sensitivity_analyses(trial, plan, sdc),
        notes=(*trial.notes, *primary.ancova.notes, *_left_out(trial, plan, analysed)),
    )


def _left_out(trial: Trial, plan: AnalysisPlan, analysed: npt.NDArray[np.bool_]) -> list[str]:
    """Name the participants who have both visits and still tell nothing about the arms."""
    idle = complete_rows(trial, plan)[:, trial.column(plan.primary)] & ~analysed
    names = [trial.participants[i] for i in np.flatnonzero(idle)]
    return [f"Left out of the primary comparison for full leverage: {some(names)}."] if names else []
