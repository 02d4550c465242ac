"""Change wherever it happens: ordered regional values, and sums of thinning and thickening."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mriseg.compare.arm_test import permute_arms
from mriseg.compare.design import common_columns
from mriseg.compare.endpoints import complete_rows
from mriseg.compare.events import smallest_regions
from mriseg.compare.permutation import permutations_within
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.rank import hodges_lehmann
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

THICKNESS = "ThCtAB_aMe"


def location_scores(change: FloatArray) -> dict[str, FloatArray]:
    """Scores of each knee from its regional changes (N, R): thinning and thickening sum, then the ordered values.

    Value 1 is the largest loss. All of them differ from zero by noise alone, so that only arms may be compared.

    References
    ----------
    Buck et al. 2009, doi:10.1002/art.24613
    """
    ordered = np.sort(change, axis=1)
    sums = {
        "thinning sum": np.minimum(change, 0).sum(axis=1),
        "thickening sum": np.maximum(change, 0).sum(axis=1),
    }
    return sums | {f"ordered value {k + 1}": ordered[:, k] for k in range(change.shape[1])}


def compare_locations(trial: Trial, plan: AnalysisPlan) -> dict[str, Any]:
    """Compare location-independent scores of cartilage thickness between the arms.

    Returns
    -------
    dict
        ``regions``, ``n`` and per score the Hodges-Lehmann shift (mm, treated minus reference), the arm means and the
        permutation p, adjusted for strata and covariates.

    Raises
    ------
    AnalysisError
        Fewer than two regions, or fewer than two knees an arm with all of them measured at both visits.
    """
    columns = smallest_regions(trial, THICKNESS)
    if len(columns) < 2:
        raise AnalysisError(
            f"The table holds {THICKNESS} of {len(columns)} of the smallest regions; at least 2 are needed."
        )
    rows = np.asarray(complete_rows(trial, plan)[:, columns].all(axis=1), dtype=np.bool_)
    treated = trial.treated[rows]
    if min((~treated).sum(), treated.sum()) < 2:
        raise AnalysisError(f"All {len(columns)} regions are measured at both visits in too few knees.")
    baseline, followup = (trial.values[trial.at(v)][rows][:, columns] for v in (plan.baseline, plan.followup))
    scores = location_scores(followup - baseline)
    return {
        "regions": [trial.endpoints[c].region for c in columns],
        "n": (int((~treated).sum()), int(treated.sum())),
        "scores": _compare_scores(scores, treated, rows, trial, plan),
    }


def _compare_scores(
    scores: dict[str, FloatArray],
    treated: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.bool_],
    trial: Trial,
    plan: AnalysisPlan,
) -> dict[str, Any]:
    values = np.column_stack(list(scores.values()))
    common = common_columns(trial.people[rows], plan)
    count = permutations_within(plan.permutations, *values.shape)
    flat = np.zeros_like(values)
    tests = permute_arms(values, treated, flat, common, alpha=None, permutations=count, seed=plan.seed)
    return {
        name: {
            "means": (float(v[~treated].mean()), float(v[treated].mean())),
            "shift": hodges_lehmann(v[~treated], v[treated], alpha=plan.alpha),
            "p_permutation": test.p,
        }
        for (name, v), test in zip(scores.items(), tests, strict=True)
    }
