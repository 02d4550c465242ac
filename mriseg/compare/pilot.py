"""A pilot: knees measured twice without treatment, from which trials are simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mriseg.compare.columns import Column, Combination, TableMap, to_regions
from mriseg.compare.design import independent
from mriseg.compare.plan import Endpoint
from mriseg.compare.tables import check_values, two_units
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, RowState
from mriseg.words import known, some, word

PARTS = ("MT", "cMF", "LT", "cLF")
COMPARTMENTS = {"MFTC": PARTS[:2], "LFTC": PARTS[2:], "FT": PARTS}
LEAST_KNEES = 10


def _readings_map() -> TableMap:
    """Columns of the OAI chondrometric release: areas come in cm2."""
    wide = {
        f"{part}_{metric}": Column(region=part, metric=metric, unit=unit, factor=factor)
        for part in PARTS
        for metric, unit, factor in (
            ("tAB", "mm2", 100.0),
            ("cAB", "mm2", 100.0),
            ("VC", "mm3", 1.0),
            ("dABp", "%", 1.0),
            ("ThCtAB_aMe", "mm", 1.0),
            ("ThCcAB_aMe", "mm", 1.0),
        )
    }
    signs = {"tAB": {"tAB": 1.0}, "cAB": {"cAB": 1.0}, "dAB": {"tAB": 1.0, "cAB": -1.0}, "VC": {"VC": 1.0}}
    whole = {part: (part,) for part in PARTS} | COMPARTMENTS
    combine = [
        Combination(
            region=region,
            metric=metric,
            unit="mm3" if metric == "VC" else "mm2",
            of={f"{part}:{piece}": sign for part in parts for piece, sign in pieces.items()},
        )
        for region, parts in whole.items()
        for metric, pieces in signs.items()
        if region in COMPARTMENTS or metric == "dAB"
    ]
    # compartment thickness is the sum over tibia and femur, as the OAI releases give it
    combine += [
        Combination(region=c, metric="ThCtAB_aMe", unit="mm", of={f"{p}:ThCtAB_aMe": 1.0 for p in COMPARTMENTS[c]})
        for c in ("MFTC", "LFTC")
    ]
    return TableMap(visit="month", wide=wide, combine=tuple(combine))


READINGS = _readings_map()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pilot:
    """Complete pairs of one endpoint: ``baseline`` and ``followup`` (N,), both in ``unit``."""

    endpoint: Endpoint
    unit: str
    baseline: FloatArray
    followup: FloatArray

    @property
    def growth(self) -> float:
        """Mean change, in ``unit``."""
        return float((self.followup - self.baseline).mean())

    @property
    def columns(self) -> int:
        """Columns of the regression of follow-up on baseline: 2, or 1 where baseline does not vary and is dropped."""
        return len(independent(self._design)[0])

    @property
    def residual_sd(self) -> float:
        """SD of follow-up around its regression on baseline, in ``unit``."""
        residual = self.followup - self._design @ np.linalg.lstsq(self._design, self.followup, rcond=None)[0]
        return float(np.sqrt((residual**2).sum() / (len(residual) - self.columns)))

    @property
    def _design(self) -> FloatArray:
        return np.column_stack([np.ones_like(self.baseline), self.baseline])


def is_readings(table: pd.DataFrame) -> bool:
    """Whether a table is the wide OAI release of manual readings."""
    return {"month", *READINGS.wide} <= set(table.columns)


def select_rows(table: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """Rows that meet every condition ``COLUMN=VALUE,VALUE``; numbers compare as numbers, so that 2 equals 2.0."""
    for condition in where:
        column, separator, wanted = condition.partition("=")
        if not separator or word(column) not in table:
            columns = ", ".join(map(str, table.columns[:12]))
            raise AnalysisError(
                f"The condition {condition!r} is not COLUMN=VALUE,VALUE with one of the columns {columns}."
            )
        cells = known(table[word(column)]).map(_comparable)
        table = table[cells.isin([_comparable(word(v)) for v in wanted.split(",")])]
    return table


def _comparable(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def build_pilot(
    table: pd.DataFrame, endpoint: Endpoint, *, baseline: str, followup: str, where: Sequence[str] = ()
) -> Pilot:
    """Take the complete pairs of one endpoint from ``regions.tsv`` or from the OAI readings; each knee counts once.

    Parameters
    ----------
    table : DataFrame
        Cells as text. Of the OAI readings the visits are months: "0", "12".
    endpoint : Endpoint
    baseline, followup : str
        Visit ids, two different ones.
    where : sequence of str
        Conditions ``COLUMN=VALUE,VALUE`` on columns of the table.

    Raises
    ------
    AnalysisError
        Fewer than ten knees remain, the values come in two units, or follow-up follows from
        baseline exactly.
    """
    if baseline == followup:
        raise AnalysisError(f"Baseline and follow-up of the pilot are both {baseline!r}; a change needs two visits.")
    rows = select_rows(table, where)
    long = check_values(to_regions(rows, READINGS, "the pilot") if is_readings(table) else rows, "the pilot")
    long = long[(long["region"] == endpoint.region) & (long["metric"] == endpoint.metric)]
    visits, waits = sorted(set(long["visit"])), int((long["state"] == RowState.NEEDS_REVIEW).sum())
    long = long[(long["state"] == RowState.MEASURED) & long["value"].notna()]
    refused = two_units(long)
    if refused:
        raise AnalysisError(f"The pilot, {endpoint}: {refused[endpoint.region, endpoint.metric]}")
    pairs = long.pivot(index=["participant_id", "side"], columns="visit", values="value")
    pairs = pairs.reindex(columns=[baseline, followup]).dropna().sort_index()
    if len(pairs) < LEAST_KNEES:
        waiting = f" {waits} row(s) of it wait for a review." if waits else ""
        raise AnalysisError(
            f"The pilot holds {len(pairs)} knees with {endpoint} at both {baseline!r} and {followup!r}; "
            f"at least {LEAST_KNEES} are needed. It has the visits {some(visits) or 'none'}.{waiting}"
        )
    values = pairs.to_numpy(dtype=np.float64)
    unit = str(long["unit"].iloc[0])
    pilot = Pilot(endpoint=endpoint, unit=unit, baseline=values[:, 0].copy(), followup=values[:, 1].copy())
    if pilot.residual_sd <= 1e-9 * np.ptp(values):
        raise AnalysisError(
            f"The pilot's {endpoint} follows from its baseline exactly: there is no scatter to plan with."
        )
    return pilot
