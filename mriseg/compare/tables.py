"""Tables as they come from files, checked before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mriseg.errors import AnalysisError

KEY = ["participant_id", "visit", "side", "region", "metric"]
YES = frozenset({"yes", "y", "true", "1"})
NO = frozenset({"no", "n", "false", "0"})


def read_table(path: Path) -> pd.DataFrame:
    """Read a delimited text file (tab, comma or semicolon, by its first line); every cell stays text, blanks are ''."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            head = stream.readline()
        delimiter = max("\t,;", key=head.count)
        frame = pd.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read ({error.strerror}).") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise AnalysisError(f"{path} is not a table of text columns: {error}") from None
    frame.columns = frame.columns.str.strip()
    return frame


def need_columns(frame: pd.DataFrame, columns: list[str], name: str) -> None:
    """Refuse a table that lacks one of ``columns``."""
    absent = [column for column in columns if column not in frame]
    if absent:
        found = ", ".join(map(str, frame.columns))
        raise AnalysisError(f"{name} lacks the column(s) {', '.join(absent)}; found {found}.")


def some(items: list[str], most: int = 5) -> str:
    """Name the first few of ``items`` and say how many more there are."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def as_text(column: pd.Series[Any]) -> pd.Series[str]:
    """Cells as text without blanks around them; what is not known is ''."""
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()


def clean_ids(column: pd.Series[Any]) -> pd.Series[str]:
    """Participant ids without blanks around them and with the prefix ``sub-``, so that 01 and sub-01 are one."""
    text = as_text(column)
    return text.where(text.str.startswith("sub-") | (text == ""), "sub-" + text)


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
        The same rows with every column of ``regions.tsv``; ``value`` is float, NaN where blank.

    Raises
    ------
    AnalysisError
        A column is missing, a value is not a number, or a row comes twice.
    """
    need_columns(values, ["participant_id", "visit", "region", "metric", "value"], name)
    table = values.copy()
    for column, default in (("side", ""), ("unit", ""), ("state", "measured")):
        if column not in table:
            table[column] = default
    table["participant_id"] = clean_ids(table["participant_id"])
    for column in ("visit", "side", "region", "metric", "unit", "state"):
        table[column] = as_text(table[column])
    text = as_text(table["value"]).str.lower()
    table["value"] = pd.to_numeric(table["value"], errors="coerce").astype(float)
    wrong = table["value"].isna() & ~text.isin(["", "nan", "na", "n/a", "."])
    if wrong.any():
        raise AnalysisError(
            f"{name}: {_place(table[wrong].iloc[0])} has the value {text[wrong].iloc[0]!r}, not a number."
        )
    twice = table.duplicated(KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise AnalysisError(
            f"{name}: {_place(row)} comes more than once ({int(twice.sum())} surplus rows); expected one."
        )
    return table


def _place(row: pd.Series[str]) -> str:
    return f"{row['participant_id']}, visit {row['visit']}, {row['region']} {row['metric']}"


def check_participants(participants: pd.DataFrame, name: str = "participants.tsv") -> pd.DataFrame:
    """Check ``participants.tsv``: one row a participant, and no arm in it. Returns it with cleaned ids."""
    need_columns(participants, ["participant_id"], name)
    arms = [column for column in participants.columns if str(column).lower() in {"arm", "allocation", "treatment"}]
    if arms:
        raise AnalysisError(
            f"{name} holds the column {arms[0]!r}; the arm belongs only into the allocation file, outside the study."
        )
    table = participants.copy()
    table["participant_id"] = clean_ids(table["participant_id"])
    twice = sorted(set(table.loc[table.duplicated("participant_id"), "participant_id"]))
    if twice:
        raise AnalysisError(f"{name} lists {some(twice)} more than once; expected one row a participant.")
    return table


def check_allocation(
    allocation: pd.DataFrame, arms: tuple[str, str], name: str = "The allocation file"
) -> dict[str, str]:
    """Return participant -> arm.

    Raises
    ------
    AnalysisError
        A participant comes twice or has no arm, or the arms are not exactly ``arms`` (reference, treated).
    """
    need_columns(allocation, ["participant_id", "arm"], name)
    ids = clean_ids(allocation["participant_id"])
    labels = as_text(allocation["arm"])
    ids, labels = (column[(ids != "") | (labels != "")] for column in (ids, labels))  # empty lines of a spreadsheet
    if (ids == "").any():
        raise AnalysisError(f"{name} gives an arm ({labels[ids == ''].iloc[0]}) to a blank participant_id.")
    twice = sorted(set(ids[ids.duplicated()]))
    if twice:
        raise AnalysisError(f"{name} lists {some(twice)} more than once; expected one arm a participant.")
    blank = sorted(ids[labels == ""])
    if blank:
        raise AnalysisError(f"{name} gives no arm for {some(blank)}.")
    found = sorted(set(labels))
    if len(found) > 2:
        raise AnalysisError(
            f"{name} holds {len(found)} arms ({', '.join(found)}); a comparison takes two. "
            "Make one plan and one file for each pair of arms."
        )
    if set(found) != set(arms):
        raise AnalysisError(
            f"{name} holds the arm(s) {', '.join(found) or 'none'}; "
            f"the plan names {arms[0]} (reference) and {arms[1]} (treated)."
        )
    return dict(zip(ids, labels, strict=True))


def yes_no(column: pd.Series[str], name: str) -> pd.Series[bool]:
    """Turn a yes/no column into booleans; blank counts as no, anything else is refused."""
    text = as_text(column).str.lower()
    wrong = sorted(set(text) - YES - NO - {""})
    if wrong:
        raise AnalysisError(f"The column {name} holds {some(wrong)}; expected yes or no.")
    return text.isin(YES)
