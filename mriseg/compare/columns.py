"""Tables of other reading systems, brought to the columns of ``regions.tsv`` by a ``[table]`` part in TOML."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mriseg.compare.plan import Endpoint, in_words
from mriseg.compare.tables import as_text, need_columns
from mriseg.errors import AnalysisError


class Column(BaseModel):
    """What a column of a wide table holds: region, metric, unit, and the factor to that unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    unit: str = ""
    factor: float = 1.0


class Combination(BaseModel):
    """A value made of others, such as a sum over regions; NaN where one of its parts is missing.

    ``of`` maps ``REGION:METRIC`` to the factor with which it enters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    unit: str = ""
    of: dict[str, float] = Field(min_length=1)


class TableMap(BaseModel):
    """The ``[table]`` part of a plan file.

    Attributes
    ----------
    participant_id, visit, side, region, metric, value, unit, state : str
        What the other table calls these columns. With ``wide`` the last five are not looked for.
    visits, states : dict
        Cell of the other table -> visit id of the plan, state of ``regions.tsv``; what is not listed stays as it is.
    wide : dict
        Column -> what it holds, for a table with one row a knee and visit.
    combine : tuple of Combination
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    participant_id: str = "participant_id"
    visit: str = "visit"
    side: str = "side"
    region: str = "region"
    metric: str = "metric"
    value: str = "value"
    unit: str = "unit"
    state: str = "state"
    visits: dict[str, str] = {}
    states: dict[str, str] = {}
    wide: dict[str, Column] = {}
    combine: tuple[Combination, ...] = ()


LONG = ("participant_id", "visit", "side", "region", "metric", "value", "unit", "state")
OPTIONAL = {"side": "", "unit": "", "state": "measured"}


def parse_table_map(document: dict[str, Any], source: str) -> TableMap | None:
    """Check the ``[table]`` part of a parsed TOML ``document``; None where there is none."""
    if "table" not in document:
        return None
    try:
        return TableMap.model_validate(document["table"])
    except ValidationError as error:
        raise AnalysisError(f"{source}, [table]: {in_words(error)}.") from None


def to_regions(frame: pd.DataFrame, mapping: TableMap, name: str = "the table") -> pd.DataFrame:
    """Bring a table of another system to the columns of ``regions.tsv``.

    Parameters
    ----------
    frame : DataFrame
        Cells as text.
    mapping : TableMap
    name : str
        What errors call the table.

    Returns
    -------
    DataFrame
        Long; a blank cell of a wide table becomes a missing row value with the state ``missing``.
    """
    named = {field: str(getattr(mapping, field)) for field in LONG}
    long = _melt(frame, mapping, named, name) if mapping.wide else _rename(frame, named, name)
    long["visit"] = as_text(long["visit"]).replace(mapping.visits)
    long["state"] = as_text(long["state"]).replace(mapping.states)
    combined = [_combine(long, c, name) for c in mapping.combine]
    return pd.concat([long, *combined], ignore_index=True)


def _rename(frame: pd.DataFrame, named: dict[str, str], name: str) -> pd.DataFrame:
    need_columns(frame, [named[f] for f in LONG if f not in OPTIONAL], name)
    long = pd.DataFrame({f: frame[c] if c in frame else OPTIONAL.get(f, "") for f, c in named.items()})
    long["value"] = pd.to_numeric(long["value"], errors="coerce")
    return long


def _melt(frame: pd.DataFrame, mapping: TableMap, named: dict[str, str], name: str) -> pd.DataFrame:
    need_columns(frame, [named["participant_id"], named["visit"], *mapping.wide], name)
    parts = []
    for column, holds in mapping.wide.items():
        part = pd.DataFrame({f: frame[named[f]] for f in ("participant_id", "visit")})
        part["side"] = frame.get(named["side"], "")
        part["region"], part["metric"], part["unit"] = holds.region, holds.metric, holds.unit
        part["value"] = pd.to_numeric(frame[column], errors="coerce") * holds.factor
        part["state"] = part["value"].notna().map({True: "measured", False: "missing"})
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _combine(long: pd.DataFrame, combination: Combination, name: str) -> pd.DataFrame:
    """Weighted sum over endpoints; measured where every part is."""
    keys = ["participant_id", "visit", "side"]
    total: pd.Series[float] | None = None
    for text, factor in combination.of.items():
        part = Endpoint.model_validate(text)
        rows = long[(long["region"] == part.region) & (long["metric"] == part.metric)]
        if rows.empty:
            raise AnalysisError(f"{name} holds no {part}, which {combination.region}:{combination.metric} is made of.")
        values = rows["value"].where(rows["state"] == "measured").groupby([rows[k] for k in keys]).first() * factor
        total = values if total is None else total + values
    assert total is not None
    made = total.rename("value").reset_index()
    made["region"], made["metric"], made["unit"] = combination.region, combination.metric, combination.unit
    made["state"] = made["value"].notna().map({True: "measured", False: "missing"})
    return made[list(LONG)]
