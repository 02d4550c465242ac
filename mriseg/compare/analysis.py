"""Compare the arms of a trial: from tables to every figure of the result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.ancova import refuse_hopeless
from mriseg.compare.design import common_columns
from mriseg.compare.endpoints import compare_endpoint, compare_others, complete_rows, waiting
from mriseg.compare.joining import gather_measurements, open_allocation
from mriseg.compare.missing import consort_flow, missingness, table_one
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import Comparison
from mriseg.compare.sensitivity import sensitivity_analyses
from mriseg.compare.trial import Measurements, Trial
from mriseg.errors import AnalysisError
from mriseg.words import some


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
    measured = gather_measurements(values, participants, plan, failures=failures)
    check_before_opening(measured, plan)
    return compare_arms(open_allocation(measured, allocation, plan), plan, sdc=sdc)


def check_before_opening(measured: Measurements, plan: AnalysisPlan) -> None:
    """Refuse, blind to the arms, what no allocation could make comparable.

    Raises
    ------
    AnalysisError
        The primary endpoint cannot be estimated whatever the arms are; the reason is its text.
    """
    column = measured.column(plan.primary)
    rows = complete_rows(measured, plan)[:, column]
    try:
        if not rows.any():
            raise AnalysisError("No participant has both visits.")
        common = common_columns(measured.people[rows], plan)
        baseline, followup = (measured.values[measured.at(v), rows, column] for v in (plan.baseline, plan.followup))
        refuse_hopeless(followup, baseline, common)
    except AnalysisError as error:
        reason = " ".join([str(error), *waiting(measured, plan)])
        raise AnalysisError(f"The primary endpoint {plan.primary} cannot be compared. {reason}") from None


def compare_arms(trial: Trial, plan: AnalysisPlan, *, sdc: pd.DataFrame | None = None) -> Comparison:
    """Compare the arms of a trial; ``sdc`` as in `compare_table`.

    Raises
    ------
    AnalysisError
        The primary endpoint cannot be estimated with these arms.
    """
    primary = compare_endpoint(trial, plan)
    secondary, exploratory, refused = compare_others(trial, plan)
    analysed = np.isin(np.arange(len(trial.participants)), primary.rows)
    return Comparison(
        plan=plan,
        trial=trial,
        primary=primary,
        secondary=secondary,
        exploratory=exploratory,
        refused=refused,
        missing=missingness(trial, plan),
        flow=consort_flow(trial, plan, analysed=analysed, enrolled=len(trial.enrolled or trial.participants)),
        table1=table_one(trial, plan),
        sensitivity=sensitivity_analyses(trial, plan, sdc),
        notes=(*trial.notes, *primary.ancova.notes, *_left_out(trial, plan, analysed)),
    )


def _left_out(trial: Trial, plan: AnalysisPlan, analysed: npt.NDArray[np.bool_]) -> list[str]:
    """Name the participants who have both visits and still tell nothing about the arms."""
    idle = complete_rows(trial, plan)[:, trial.column(plan.primary)] & ~analysed
    names = [trial.participants[i] for i in np.flatnonzero(idle)]
    return [f"Left out of the primary comparison for full leverage: {some(names)}."] if names else []
