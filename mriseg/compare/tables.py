"""Tables as they come from files, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mriseg.delimited import read_cells, with_names
from mriseg.errors import AnalysisError, TableError
from mriseg.types import FloatArray, RowState
from mriseg.words import known, parse_numbers, side_of, some, spelt_twice, unit_of, why_no_number, words

KEY = ["participant_id", "visit", "side", "region", "metric"]
OPTIONAL = {"side": "", "unit": "", "state": str(RowState.MEASURED)}


def read_table(path: Path) -> pd.DataFrame:
    """Read a delimited text file by `mriseg.delimited.read_cells`; every cell stays text, blanks are ''."""
    try:
        return read_cells(path)
    except TableError as error:
        raise AnalysisError(str(error)) from None


def need_columns(frame: pd.DataFrame, columns: list[str], name: str, optional: Iterable[str] = ()) -> pd.DataFrame:
    """Return a table whose headers are spelt as ``columns`` and ``optional`` are; without one of ``columns`` refuse."""
    try:
        table = with_names(frame, [*columns, *optional], name)
    except TableError as error:
        raise AnalysisError(str(error)) from None
    absent = [column for column in columns if column not in table]
    if absent:
        found = ", ".join(map(str, table.columns))
        raise AnalysisError(f"{name} lacks the column(s) {', '.join(absent)}; found {found}.")
    return table


def clean_ids(column: pd.Series[Any]) -> pd.Series[str]:
    """Participant ids without blanks around them and with the prefix ``sub-``, so that 01 and sub-01 are one."""
    text = known(column)
    bare = text.where(~text.str.casefold().str.startswith("sub-"), text.str[4:])
    return bare.where(text == "", "sub-" + bare)


def read_numbers(column: pd.Series[Any], places: pd.Series[str]) -> FloatArray:
    """Values of a column, NaN where missing; a cell that is no number is refused by its place and with a hint."""
    values, wrong = parse_numbers(column)
    if wrong.any():
        first = int(wrong.argmax())
        more = f"; so are {int(wrong.sum()) - 1} more cells" if wrong.sum() > 1 else ""
        raise AnalysisError(f"{places.iloc[first]} {why_no_number(column.iloc[first])}{more}.")
    return values


def check_values(values: pd.DataFrame, name: str = "regions.tsv") -> pd.DataFrame:
    """Check and normalise a long table of measurements.

    Parameters
    ----------
    values : DataFrame
        Columns participant_id, visit, region, metric, value; side, unit and state where known.
    name : str
        What errors call the table.

    Returns
    -------
    DataFrame
        The same rows with every column of ``regions.tsv``; ``value`` is float, NaN where blank, ``side`` L, R or ''.
        A blank side is that of the participant's other rows.

    Raises
    ------
    AnalysisError
        A column is missing, a value is not a number, a side or state is not known, a visit, region or metric is blank
        or spelt in two ways, or a row comes twice.
    """
    table = need_columns(values, ["participant_id", "visit", "region", "metric", "value"], name, OPTIONAL).copy()
    for column, default in OPTIONAL.items():
        table[column] = words(table[column]) if column in table else default
    table["unit"] = table["unit"].map(unit_of)
    table["participant_id"] = clean_ids(table["participant_id"])
    for column in ("visit", "region", "metric"):
        table[column] = words(table[column])
        refuse_two_spellings(table[column], f"{name}, column {column}")
    _refuse_blanks(table, name)
    places = f"{name}: " + _places(table)
    table["value"] = read_numbers(table["value"], places + " has the value")
    table["state"] = _states(table["state"], places)
    table["side"] = _sides(table, places)
    twice = table.duplicated(KEY)
    if twice.any():
        raise AnalysisError(
            f"{places[twice].iloc[0]} comes more than once ({int(twice.sum())} surplus rows); expected one."
        )
    return table


def _places(table: pd.DataFrame) -> pd.Series[str]:
    """Say of each row where it is: participant, visit and endpoint."""
    where = table["participant_id"] + ", visit " + table["visit"] + ", " + table["region"] + " " + table["metric"]
    return where.astype(object)


def _refuse_blanks(table: pd.DataFrame, name: str) -> None:
    for column in ("participant_id", "visit", "region", "metric"):
        blank = table[column] == ""
        if blank.any():
            raise AnalysisError(
                f"{name}: {int(blank.sum())} row(s) have no {column}, first {_places(table[blank]).iloc[0]}."
            )


def _states(column: pd.Series[str], places: pd.Series[str]) -> pd.Series[str]:
    """Spell states as `RowState` does."""
    states = column.str.casefold()
    strange = ~states.isin([str(s) for s in RowState])
    if strange.any():
        raise AnalysisError(
            f"{places[strange].iloc[0]}: the table holds the state(s) {some(sorted(set(column[strange])))}; "
            f"expected {', '.join(sorted(RowState))}."
        )
    return states


def _sides(table: pd.DataFrame, places: pd.Series[str]) -> pd.Series[str]:
    """L or R; a blank one is that of the participant's other rows, and refused where those name both knees."""
    text = known(table["side"])
    read = {cell: side_of(cell) for cell in set(text)}
    strange = (text != "") & text.map(lambda cell: read[cell] is None).astype(bool)
    if strange.any():
        raise AnalysisError(f"{places[strange].iloc[0]} has the side {text[strange].iloc[0]!r}; expected L or R.")
    sides = text.map(lambda cell: str(read[cell] or "")).astype(object)
    if not (sides == "").any():
        return sides
    named = sides.where(sides != "").groupby(table["participant_id"])
    unclear = (sides == "") & (named.transform("nunique") > 1)
    if unclear.any():
        raise AnalysisError(f"{places[unclear].iloc[0]} has no side, and both knees of this participant are measured.")
    return sides.where(sides != "", named.transform("first").fillna(""))


def refuse_two_spellings(column: pd.Series[str], where: str) -> None:
    """Refuse a column in which one word is spelt in two ways: by case, or one number as 1 and 1.0."""
    twice = spelt_twice(column)
    if twice:
        counts = " and ".join(f"{text!r} ({int((column == text).sum())} rows)" for text in twice)
        raise AnalysisError(f"{where}: holds {counts}. Spell it in one way, or name two things differently.")


def two_units(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Name the endpoints (region, metric) of a checked table whose values come in more than one unit, and say which.

    Rows without a value say nothing about the unit.
    """
    held = table[np.isfinite(table["value"].to_numpy(dtype=np.float64))]
    counts = held.groupby(["region", "metric", "unit"], sort=True).size().reset_index(name="rows")
    several = counts[counts.duplicated(["region", "metric"], keep=False)]
    return {
        (str(region), str(metric)): "Its values come in more than one unit: "
        + ", ".join(f"{unit or 'none'} ({rows} rows)" for unit, rows in zip(part["unit"], part["rows"], strict=True))
        + ". Bring them to one."
        for (region, metric), part in several.groupby(["region", "metric"])
    }
