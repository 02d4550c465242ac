"""How a cell of a table is read: one way to strip blanks, one list of spellings of missing, one of sides, one number.

Closed vocabularies (missing, sides, yes and no, units, headers) ignore case. Open ones (visits, regions, levels of a
stratum) keep it, and two words that differ by case alone, or two spellings of one number, are refused:
:func:`spelt_twice` finds them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.types import FloatArray, Side

MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "-nan", "null", "missing", "unknown"}
    | {"not known", "not available", "?", ".", "#nv", "k.a."}
)
MISSING_NUMBER = MISSING | {"none", "nil", "-", "--", "\u2013", "\u2014"}  # among words these are answers
SIDES = {
    **dict.fromkeys(("l", "left", "lt"), Side.LEFT),
    **dict.fromkeys(("r", "right", "rt"), Side.RIGHT),
}
YES = frozenset({"yes", "y", "true", "1"})
NO = frozenset({"no", "n", "false", "0"})
ARM_COLUMNS = frozenset({"arm", "allocation", "treatment", "treated", "group", "randomisation", "randomization"})
UNITS = {
    **dict.fromkeys(("mm", "millimetre", "millimeter"), "mm"),
    **{spelt: f"mm{n}" for n in (2, 3) for spelt in (f"mm{n}", f"mm^{n}", f"mm**{n}")},
    **{spelt: f"cm{n}" for n in (2, 3) for spelt in (f"cm{n}", f"cm^{n}", f"cm**{n}")},
    **dict.fromkeys(("sq mm", "sqmm", "qmm"), "mm2"),
    **dict.fromkeys(("sq cm", "sqcm", "qcm"), "cm2"),
    **dict.fromkeys(("ml", "cc", "ccm"), "cm3"),
    **dict.fromkeys(("%", "percent", "pct", "per cent"), "%"),
}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_HINTS = (
    (r"[+-]?\d*,\d+", "a decimal comma? Write it with a point, and no mark between thousands"),
    (r"[+-]?\d{1,3}([ ,'.]\d{3})+([.,]\d+)?", "thousands are not parted: write 1234.5"),
    (r".*%", "write the number alone and the percent sign into the column unit"),
    (r"[<>≤≥~].*", "a bound is no value: leave the cell blank"),
    (r"[+-]?(inf|infinity)|[+-]?\d+\.?\d*[eE][+-]?\d+", "it is not finite"),
    (r"[+-]?\d+\.?\d* ?[^\W\d].*", "write the number alone and its unit into the column unit"),
)


def word(cell: object) -> str:
    """One cell as text: without blanks around it, single ones inside, no invisible or compatibility characters.

    What a data frame holds as None, NaN or NA is ''.
    """
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return _plain(str(cell))


@lru_cache(maxsize=1 << 16)
def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(_INVISIBLE).split())


def words(column: pd.Series[Any]) -> pd.Series[str]:
    """Each cell of a column as `word`."""
    return pd.Series([word(cell) for cell in column.astype(object)], index=column.index, name=column.name, dtype=object)


def known(column: pd.Series[Any]) -> pd.Series[str]:
    """Each cell as `word`, '' where it is one of the spellings of missing."""
    text = words(column)
    return text.where(~text.str.casefold().isin(MISSING), "")


def some(items: Iterable[str], most: int = 5) -> str:
    """Name the first few of ``items`` and say how many more there are."""
    named = list(items)
    rest = len(named) - most
    return ", ".join(named[:most]) + (f" and {rest} more" if rest > 0 else "")


def side_of(text: str) -> Side | None:
    """Which knee a word names; None where it names none."""
    return SIDES.get(word(text).casefold())


def unit_of(text: str) -> str:
    """One spelling for each unit that is known; any other as it stands, '' where it is missing."""
    plain = word(text)
    return "" if plain.casefold() in MISSING else UNITS.get(plain.casefold(), plain)


def parse_numbers(column: pd.Series[Any]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Read a column of numbers.

    Returns
    -------
    values : array, (N,)
        NaN where the cell is missing or no number.
    wrong : array of bool, (N,)
        Where a cell is neither missing nor a finite number; `why_no_number` says why.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = np.array([_number(cell) for cell in column.astype(object)], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan), np.asarray(np.isinf(values), dtype=np.bool_)


def _number(cell: object) -> float:
    """Value of a cell; NaN where it is missing, infinity where it is no finite number."""
    text = cell if isinstance(cell, str) and _NUMBER.fullmatch(cell) else word(cell).replace("\u2212", "-")
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.nan if text.casefold() in MISSING_NUMBER else math.inf


def why_no_number(cell: object) -> str:
    """Quote a cell that is no number, with a hint at what is wrong with it."""
    text = word(cell)
    hint = next((why for pattern, why in _HINTS if re.fullmatch(pattern, text, re.IGNORECASE)), "")
    return f"{text!r}, not a number" + (f" ({hint})" if hint else "")


def spelt_twice(column: pd.Series[str]) -> list[str]:
    """Spellings in a column that differ by case alone, or as text and not as numbers; empty where there are none."""
    seen: dict[str, str] = {}
    for text in sorted(set(column) - {""}):
        is_number = len(text) < 16 and _NUMBER.fullmatch(text)  # longer codes are not told apart as numbers
        other = seen.setdefault(repr(float(text)) if is_number else text.casefold(), text)
        if other != text:
            return [other, text]
    return []
