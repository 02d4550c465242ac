"""Who takes part and who got what: ``participants.tsv`` and the allocation, checked."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mriseg.compare.tables import clean_ids, need_columns
from mriseg.errors import AnalysisError
from mriseg.words import ARM_COLUMNS, NO, YES, known, some, words


def check_participants(
    participants: pd.DataFrame, name: str = "participants.tsv", *, columns: Iterable[str] = ()
) -> pd.DataFrame:
    """Check ``participants.tsv``: one row a participant, and no arm in it.

    Headers that differ from ``columns`` by case alone are spelt like these.

    Returns
    -------
    DataFrame
        Cells as `mriseg.words.known`; ids with their prefix.
    """
    table = need_columns(participants, ["participant_id"], name, {"side", "randomised", *columns} - {"participant_id"})
    arms = [column for column in table.columns if str(column).casefold() in ARM_COLUMNS]
    if arms:
        raise AnalysisError(
            f"{name} holds the column {arms[0]!r}; the arm belongs only into the allocation file, outside the study."
        )
    table = table.apply(known)
    table["participant_id"] = clean_ids(table["participant_id"])
    table = table[(table != "").any(axis=1)]
    if (table["participant_id"] == "").any():
        raise AnalysisError(
            f"{name} holds {int((table['participant_id'] == '').sum())} row(s) without a participant_id."
        )
    twice = sorted(set(table.loc[table.duplicated("participant_id"), "participant_id"]))
    if twice:
        raise AnalysisError(f"{name} lists {some(twice)} more than once; expected one row a participant.")
    return table


def check_allocation(
    allocation: pd.DataFrame, arms: tuple[str, str], name: str = "The allocation file"
) -> dict[str, str]:
    """Return participant -> arm, spelt as in ``arms`` (reference, treated), whatever its case in the file.

    Raises
    ------
    AnalysisError
        A participant comes twice or has no arm, or the arms are not exactly ``arms``.
    """
    table = need_columns(allocation, ["participant_id", "arm"], name)
    ids, text = clean_ids(table["participant_id"]), words(table["arm"])
    named = {arm.casefold(): arm for arm in arms}
    labels = text.map(lambda arm: named.get(arm.casefold(), arm)).astype(object)
    labels = labels.where(labels.isin(arms), known(labels))  # an arm may be called "none"
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
    text = known(column).str.casefold()
    wrong = sorted(set(text) - YES - NO - {""})
    if wrong:
        raise AnalysisError(f"The column {name} holds {some(wrong)}; expected yes or no.")
    return text.isin(YES)
