"""Tidy tables of a comparison for R, SAS or a spreadsheet, with a data dictionary."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.plan import Endpoint
from mriseg.compare.result import Comparison
from mriseg.compare.trial import Availability

DICTIONARY = {
    "endpoints": {
        "role": ("", "primary, secondary or exploratory"),
        "region": ("", "region of the articular surface"),
        "metric": ("", "what was measured"),
        "unit": ("", "unit of the estimate"),
        "n_reference": ("participants", "analysed in the reference arm"),
        "n_treated": ("participants", "analysed in the treated arm"),
        "estimate": ("unit", "treated minus reference at follow-up, adjusted"),
        "ci_low": ("unit", "lower end of the HC3 interval"),
        "ci_high": ("unit", "upper end of the HC3 interval"),
        "p_ancova": ("", "two-sided p of the arm, HC3"),
        "ci_permutation_low": ("unit", "lower end of the permutation interval; blank where exploratory or unbounded"),
        "ci_permutation_high": ("unit", "upper end of the permutation interval; blank where exploratory or unbounded"),
        "p_permutation": ("", "two-sided permutation p, exact or Freedman-Lane"),
        "permutations": ("", "arrangements or random permutations that the p rests on"),
        "permutation_exact": ("", "1 where these are all arrangements of the arms, so that the p is exact"),
        "judged_by": ("", "permutation or hc3: whose p and interval decide; blank where exploratory"),
        "p_holm": ("", "the p that decides, adjusted over declared secondaries; blank elsewhere"),
        "detectable_effect": ("unit", "smallest true difference found with the planned power"),
        "mean_reference": ("unit", "adjusted mean, reference arm"),
        "mean_treated": ("unit", "adjusted mean, treated arm"),
        "standardised": ("residual SD", "Hedges-corrected standardised effect"),
        "shift": ("unit", "Hodges-Lehmann shift of the change"),
        "shift_low": ("unit", "lower end of its interval"),
        "shift_high": ("unit", "upper end of its interval"),
    },
    "values": {
        "participant_id": ("", "participant"),
        "arm": ("", "arm as allocated"),
        "region": ("", "region of the articular surface"),
        "metric": ("", "what was measured"),
        "unit": ("", "unit of the values"),
        "baseline": ("unit", "value at the baseline visit; blank where not available"),
        "followup": ("unit", "value at the follow-up visit; blank where not available"),
        "change": ("unit", "followup minus baseline"),
        "state_baseline": ("", "measured, not scanned, failed, needs review or rejected"),
        "state_followup": ("", "measured, not scanned, failed, needs review or rejected"),
        "analysed": ("", "1 where the row entered the ANCOVA of its endpoint"),
    },
}


def endpoints_table(comparison: Comparison) -> pd.DataFrame:
    """One row an endpoint, in the order primary, secondary, exploratory."""
    rows = []
    for r in (comparison.primary, *comparison.secondary, *comparison.exploratory):
        c, fit = r.comparison, r.ancova
        span = r.permutation.interval
        ends = (span.low, span.high) if span else (None, None)
        drawn = [r.permutation.permutations, int(r.permutation.exact)]
        tests = [c.p_ancova, *ends, c.p_permutation, *drawn, r.judgement.method if r.judgement else None, r.p_holm]
        figures = [c.estimate, c.ci_low, c.ci_high, *tests, c.detectable_effect]
        means = [m.estimate for m in fit.means]
        shift = [r.shift.estimate, r.shift.low, r.shift.high]
        rows.append([r.role, c.region, c.metric, c.unit, *c.n, *figures, *means, fit.standardised.estimate, *shift])
    return pd.DataFrame(rows, columns=list(DICTIONARY["endpoints"]))


def values_table(comparison: Comparison) -> pd.DataFrame:
    """One row a participant and endpoint, the participant's other columns behind it: enough to redo the analysis."""
    trial, plan = comparison.trial, comparison.plan
    first, last = trial.at(plan.baseline), trial.at(plan.followup)
    states = {int(a): a.words for a in Availability}
    parts = []
    for column, endpoint in enumerate(trial.endpoints):
        part = pd.DataFrame({"participant_id": trial.participants})
        part["arm"] = [plan.treated if t else plan.reference for t in trial.treated]
        part["region"], part["metric"], part["unit"] = endpoint.region, endpoint.metric, trial.units[column]
        part["baseline"], part["followup"] = trial.values[first, :, column], trial.values[last, :, column]
        part["change"] = part["followup"] - part["baseline"]
        part["state_baseline"] = [states[int(s)] for s in trial.availability[first, :, column]]
        part["state_followup"] = [states[int(s)] for s in trial.availability[last, :, column]]
        part["analysed"] = _entered(comparison, endpoint)
        parts.append(part)
    values = pd.concat(parts, ignore_index=True)
    return values.merge(trial.people.reset_index(), on="participant_id", how="left", suffixes=("", "_participant"))


def _entered(comparison: Comparison, endpoint: Endpoint) -> npt.NDArray[np.int_]:
    """1 for everybody who entered the ANCOVA of an endpoint, (N,)."""
    results = (comparison.primary, *comparison.secondary, *comparison.exploratory)
    rows = next((r.rows for r in results if r.endpoint == endpoint), ())
    return np.isin(np.arange(len(comparison.trial.participants)), rows).astype(int)


def dictionary_table() -> pd.DataFrame:
    """Every column of the tidy tables: table, column, unit, meaning."""
    rows = [
        (f"comparison_{table}.tsv", column, unit, meaning)
        for table, columns in DICTIONARY.items()
        for column, (unit, meaning) in columns.items()
    ]
    return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])
