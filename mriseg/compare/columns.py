"""Tables of other reading systems, brought to the columns of ``regions.tsv`` by a ``[table]`` part in TOML."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mriseg.compare.plan import Endpoint, Word, in_words
from mriseg.compare.tables import OPTIONAL, check_values, need_columns, read_numbers, two_units
from mriseg.errors import AnalysisError
from mriseg.types import RowState
from mriseg.words import some, unit_of, words


class Column(BaseModel):
    """What a column of a wide table holds: region, metric, unit, and the factor to that unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Word = Field(min_length=1)
    metric: Word = Field(min_length=1)
    unit: str = ""
    factor: float = Field(1.0, allow_inf_nan=False)


class Combination(BaseModel):
    """A value made of others, such as a sum over regions; NaN where one of its parts is missing.

    ``of`` maps ``REGION:METRIC`` to the factor with which it enters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Word = Field(min_length=1)
    metric: Word = Field(min_length=1)
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

    participant_id: Word = "participant_id"
    visit: Word = "visit"
    side: Word = "side"
    region: Word = "region"
    metric: Word = "metric"
    value: Word = "value"
    unit: Word = "unit"
    state: Word = "state"
    visits: dict[Word, Word] = {}
    states: dict[Word, Word] = {}
    wide: dict[Word, Column] = {}
    combine: tuple[Combination, ...] = ()


LONG = ("participant_id", "visit", "side", "region", "metric", "value", "unit", "state")


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
    long["visit"] = words(long["visit"]).replace(mapping.visits)
    long["state"] = words(long["state"]).replace(mapping.states)
    if not mapping.combine:
        return long
    long = check_values(long, name).assign(participant_id=words(long["participant_id"]))
    return pd.concat([long, *(_combine(long, c, name) for c in mapping.combine)], ignore_index=True)


def _rename(frame: pd.DataFrame, named: dict[str, str], name: str) -> pd.DataFrame:
    asked = [named[f] for f in LONG if f not in OPTIONAL]
    table = need_columns(frame, asked, name, [named[f] for f in OPTIONAL])
    return pd.DataFrame(
        {f: table[c] if c in table else OPTIONAL.get(f, "") for f, c in named.items()}, index=table.index
    )


def _melt(frame: pd.DataFrame, mapping: TableMap, named: dict[str, str], name: str) -> pd.DataFrame:
    asked = [named["participant_id"], named["visit"], *mapping.wide]
    table = need_columns(frame, asked, name, [named["side"]])
    who, when = words(table[named["participant_id"]]), words(table[named["visit"]])
    parts = []
    for column, holds in mapping.wide.items():
        part = pd.DataFrame({"participant_id": who, "visit": when})
        part["side"] = table.get(named["side"], "")
        part["region"], part["metric"], part["unit"] = holds.region, holds.metric, holds.unit
        places = (f"{name}: " + who + ", visit " + when + f", {column} has the value").astype(object)
        part["value"] = read_numbers(table[column], places) * holds.factor
        part["state"] = _state_of(part["value"])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _state_of(values: pd.Series[float]) -> pd.Series[str]:
    return values.notna().map({True: str(RowState.MEASURED), False: str(RowState.MISSING)})


def _combine(long: pd.DataFrame, combination: Combination, name: str) -> pd.DataFrame:
    """Weighted sum over endpoints; measured where every part is."""
    keys = ["participant_id", "visit", "side"]
    made_of = f"which {combination.region}:{combination.metric} is made of"
    refused, units = two_units(long), set()
    total: pd.Series[float] | None = None
    for text, factor in combination.of.items():
        part = Endpoint.model_validate(text)
        rows = long[(long["region"] == part.region) & (long["metric"] == part.metric)]
        if rows.empty:
            raise AnalysisError(f"{name} holds no {part}, {made_of}.")
        if (part.region, part.metric) in refused:
            raise AnalysisError(f"{name}, {part}, {made_of}: {refused[part.region, part.metric]}")
        units |= set(rows["unit"])
        values = rows["value"].where(rows["state"] == RowState.MEASURED).groupby([rows[k] for k in keys]).first()
        total = values * factor if total is None else total + values * factor
    if len(units - {""}) > 1:
        raise AnalysisError(
            f"{name}: the parts {made_of} come in {some(sorted(units - {''}))}. Bring them to one unit, by `factor` of "
            "[table.wide]."
        )
    assert total is not None
    made = total.rename("value").reset_index()
    made["region"], made["metric"], made["unit"] = combination.region, combination.metric, unit_of(combination.unit)
    made["state"] = _state_of(made["value"])
    return made[list(LONG)]
