"""A pilot: knees measured twice without treatment, from which trials are simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mriseg.compare.columns import Column, Combination, TableMap, to_regions
from mriseg.compare.plan import Endpoint
from mriseg.compare.tables import as_text, check_values
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

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
    def residual_sd(self) -> float:
        """SD of follow-up around its regression on baseline, in ``unit``."""
        design = np.column_stack([np.ones_like(self.baseline), self.baseline])
        residual = self.followup - design @ np.linalg.lstsq(design, self.followup, rcond=None)[0]
        return float(np.sqrt((residual**2).sum() / (len(residual) - 2)))


def is_readings(table: pd.DataFrame) -> bool:
    """Whether a table is the wide OAI release of manual readings."""
    return {"month", *READINGS.wide} <= set(table.columns)


def select_rows(table: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """Rows that meet every condition ``COLUMN=VALUE,VALUE``; numbers compare as numbers, so that 2 equals 2.0."""
    for condition in where:
        column, separator, wanted = condition.partition("=")
        if not separator or column.strip() not in table:
            known = ", ".join(map(str, table.columns[:12]))
            raise AnalysisError(
                f"The condition {condition!r} is not COLUMN=VALUE,VALUE with one of the columns {known}."
            )
        cells = as_text(table[column.strip()]).map(_comparable)
        table = table[cells.isin([_comparable(v.strip()) for v in wanted.split(",")])]
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
        Visit ids.
    where : sequence of str
        Conditions ``COLUMN=VALUE,VALUE`` on columns of the table.

    Raises
    ------
    AnalysisError
        Fewer than ten knees remain.
    """
    rows = select_rows(table, where)
    long = check_values(to_regions(rows, READINGS, "the pilot") if is_readings(table) else rows, "the pilot")
    long = long[(long["region"] == endpoint.region) & (long["metric"] == endpoint.metric)]
    long = long[(long["state"] == "measured") & long["value"].notna()]
    pairs = long.pivot(index=["participant_id", "side"], columns="visit", values="value").reindex(
        columns=[baseline, followup]
    )
    pairs = pairs.dropna().sort_index()
    if len(pairs) < LEAST_KNEES:
        raise AnalysisError(
            f"The pilot holds {len(pairs)} knees with {endpoint} at both {baseline!r} and {followup!r}; "
            f"at least {LEAST_KNEES} are needed."
        )
    values = pairs.to_numpy(dtype=np.float64)
    unit = str(long["unit"].iloc[0])
    return Pilot(endpoint=endpoint, unit=unit, baseline=values[:, 0].copy(), followup=values[:, 1].copy())
