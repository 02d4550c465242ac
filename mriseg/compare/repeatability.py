"""How well a measurement repeats: SEM, smallest detectable change, RMS CV, ICC(2,1) and Bland-Altman limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mriseg.compare.interval import Interval
from mriseg.compare.tables import check_values, two_units
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, RowState
from mriseg.words import some, word

LEAST_KNEES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatability:
    """Repeatability of one endpoint; ``sem``, ``sdc``, ``bias`` and limits in its unit.

    ``rms_cv_pct`` leaves out knees whose mean is 0 and is NaN where all are; the limits of agreement are those of the
    second scan minus the first.
    """

    n: int
    scans: int
    mean: float
    sem: float
    sdc: float
    sdc_low: float
    sdc_high: float
    rms_cv_pct: float
    icc: float
    icc_low: float
    icc_high: float
    bias: float
    bias_low: float
    bias_high: float
    limit_low: float
    limit_high: float


def repeatability(values: FloatArray, *, alpha: float = 0.05) -> Repeatability:
    """Analyse repeats of one endpoint.

    Parameters
    ----------
    values : array, (N, K)
        N knees scanned K times without change between the scans; finite.
    alpha : float
        One minus the confidence level.

    Raises
    ------
    AnalysisError
        Fewer than three knees or two scans.

    Notes
    -----
    SEM is the square root of the mean squared difference within knees, so that a shift between the scans counts as
    error; SDC = 1.96 sqrt(2) SEM.

    References
    ----------
    Glüer et al. 1995, doi:10.1007/BF01774016 (RMS CV); McGraw & Wong 1996, doi:10.1037/1082-989X.1.1.30 (ICC);
    Bland & Altman 1986, doi:10.1016/S0140-6736(86)90837-8
    """
    n, k = values.shape
    if n < LEAST_KNEES or k < 2:
        raise AnalysisError(f"{n} knees with {k} complete scans; at least {LEAST_KNEES} knees and 2 scans are needed.")
    within = values.var(axis=1, ddof=1)
    df = n * (k - 1)
    sem = float(np.sqrt(within.mean()))
    sdc = float(stats.norm.ppf(0.975)) * 2**0.5 * sem
    factors = [float(np.sqrt(df / stats.chi2.ppf(q, df))) for q in (1 - alpha / 2, alpha / 2)]
    means = values.mean(axis=1)
    known = means != 0
    cv = 100 * float(np.sqrt((within[known] / means[known] ** 2).mean())) if known.any() else float("nan")
    icc = icc_2_1(values, alpha=alpha)
    bias, limits = bland_altman(values[:, 1] - values[:, 0], alpha=alpha)
    return Repeatability(
        n=n,
        scans=k,
        mean=float(values.mean()),
        sem=sem,
        sdc=sdc,
        sdc_low=sdc * factors[0],
        sdc_high=sdc * factors[1],
        rms_cv_pct=cv,
        icc=icc.estimate,
        icc_low=icc.low,
        icc_high=icc.high,
        bias=bias.estimate,
        bias_low=bias.low,
        bias_high=bias.high,
        limit_low=limits[0],
        limit_high=limits[1],
    )


def icc_2_1(values: FloatArray, *, alpha: float = 0.05) -> Interval:
    """Intraclass correlation of single scans, two-way random, absolute agreement, of ``values`` (N, K).

    NaN where nothing varies. The interval is that of McGraw & Wong 1996.
    """
    n, k = values.shape
    grand = values.mean()
    rows = k * ((values.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((values.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    total = ((values - grand) ** 2).sum()
    error = max(0.0, float(total - rows * (n - 1) - columns * (k - 1))) / ((n - 1) * (k - 1))
    spread = rows + (k - 1) * error + k * (columns - error) / n
    if spread <= 0:
        return Interval(estimate=np.nan, low=np.nan, high=np.nan)
    icc = float((rows - error) / spread)
    if error <= 0:
        return Interval(estimate=icc, low=np.nan, high=np.nan)
    ratio = columns / error
    rest = n * (1 + (k - 1) * icc) - k * icc
    v = (k - 1) * (n - 1) * (k * icc * ratio + rest) ** 2 / ((n - 1) * k**2 * icc**2 * ratio**2 + rest**2)
    upper, lower = stats.f.ppf(1 - alpha / 2, n - 1, v), stats.f.ppf(1 - alpha / 2, v, n - 1)
    noise = k * columns + (k * n - k - n) * error
    low = n * (rows - upper * error) / (upper * noise + n * rows)
    high = n * (lower * rows - error) / (noise + n * lower * rows)
    return Interval(estimate=icc, low=float(low), high=float(high))


def bland_altman(differences: FloatArray, *, alpha: float = 0.05) -> tuple[Interval, tuple[float, float]]:
    """Mean difference with its t interval, and the limits of agreement, of ``differences`` (N,)."""
    n, mean, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    half = float(stats.t.ppf(1 - alpha / 2, n - 1)) * sd / n**0.5
    reach = float(stats.norm.ppf(0.975)) * sd
    return Interval(estimate=mean, low=mean - half, high=mean + half), (mean - reach, mean + reach)


def repeatability_table(values: pd.DataFrame, scans: Sequence[str] = ()) -> pd.DataFrame:
    """Analyse every endpoint of a table of repeat scans.

    Parameters
    ----------
    values : DataFrame
        Long, as ``regions.tsv``; the visits are the repeats.
    scans : sequence of str
        Visits to take, in order; every visit by default.

    Returns
    -------
    DataFrame
        region, metric, unit, the fields of `Repeatability`, and ``note`` where an endpoint could not be analysed, or
        not with all its knees.

    Raises
    ------
    AnalysisError
        The table is wrong, a scan is named twice or absent, or no endpoint at all can be analysed.
    """
    table = check_values(values, "The table of repeat scans")
    names = list(map(word, scans)) or list(dict.fromkeys(table["visit"]))
    absent = [s for s in names if s not in set(table["visit"])]
    twice = sorted({s for s in names if names.count(s) > 1})
    if twice:
        raise AnalysisError(f"A scan cannot repeat itself: {some(twice)} is named more than once.")
    if absent or len(names) < 2:
        raise AnalysisError(
            f"Repeats need two visits of the table; asked for {', '.join(names)}, absent {absent}. "
            f"The table holds {some(sorted(set(table['visit'])))}."
        )
    asked, refused = table[table["visit"].isin(names)], two_units(table)
    rows = []
    for (region, metric), part in asked.groupby(["region", "metric"], sort=False):
        head = {"region": region, "metric": metric, "unit": part["unit"].iloc[0]}
        try:
            if (str(region), str(metric)) in refused:
                raise AnalysisError(refused[str(region), str(metric)])
            rows.append({**head, **_analyse(part, names)})
        except AnalysisError as error:
            rows.append({**head, "note": str(error)})
    if all("sdc" not in row for row in rows):
        raise AnalysisError(f"No endpoint can be analysed: {rows[0]['region']}:{rows[0]['metric']}: {rows[0]['note']}")
    return pd.DataFrame(rows).astype({"n": "Int64", "scans": "Int64"})


def _analyse(part: pd.DataFrame, names: list[str]) -> dict[str, object]:
    """Figures of one endpoint, with a note on what was left out; the same note ends the reason where there are none."""
    measured = part["value"].where(part["state"] == RowState.MEASURED)
    wide = part.assign(value=measured).pivot(index=["participant_id", "side"], columns="visit", values="value")
    complete = wide.reindex(columns=names).dropna().to_numpy(dtype=np.float64)
    states = Counter(part.loc[measured.isna(), "state"])
    rows = " and ".join(f"{n} row(s) {state}" for state, n in sorted(states.items()))
    left_out = len(wide) - len(complete)
    note = f"{left_out} of {len(wide)} knees left out" + (f": {rows}." if rows else ".") if left_out else ""
    if states[RowState.NEEDS_REVIEW]:
        note += " Accept the label maps that wait for a review."
    try:
        return {**asdict(repeatability(complete)), "note": note}
    except AnalysisError as error:
        raise AnalysisError(f"{error} {note}".rstrip()) from None
