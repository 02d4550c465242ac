"""Design matrices: what a plan's covariates and strata become, checked for columns that say nothing new."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.tables import refuse_two_spellings
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, IntArray
from mriseg.words import known, parse_numbers, why_no_number

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Common:
    """The columns that every endpoint of one set of participants shares.

    Parameters
    ----------
    columns : array, (N, Q)
        Intercept first, then covariates and levels of strata; of full rank.
    names : tuple of str, (Q,)
    grid : array, (Q,)
        Where adjusted means are taken: numbers at their mean, levels of a factor with equal weight.
    cells : array of int, (N,)
        Stratum of each participant, the crossing of all strata.
    notes : tuple of str
        What was left out and why.
    """

    columns: FloatArray
    names: tuple[str, ...]
    grid: FloatArray
    cells: IntArray
    notes: tuple[str, ...]

    def take(self, rows: npt.NDArray[np.bool_]) -> Common:
        """Keep the participants ``rows`` (N,), and the columns that still say something about them."""
        if rows.all():
            return self
        keep, _ = independent(self.columns[rows])
        return replace(
            self,
            columns=self.columns[rows][:, keep],
            names=tuple(self.names[i] for i in keep),
            grid=self.grid[keep],
            cells=self.cells[rows],
        )


def common_columns(people: pd.DataFrame, plan: AnalysisPlan) -> Common:
    """Build the shared part of the design for the rows of ``people`` (``participants.tsv``, one row a participant).

    Missing numbers are replaced by the mean, which does not bias a randomised comparison [1]_; a missing level is a
    level of its own.

    References
    ----------
    .. [1] White & Thompson 2005, doi:10.1002/sim.1981
    """
    n = len(people)
    blocks: list[tuple[str, FloatArray, FloatArray]] = [("intercept", np.ones((n, 1)), np.ones(1))]
    notes: list[str] = []
    read = read_covariates(people, plan)
    for name in (*plan.covariates, *plan.strata):
        column = read[name]
        as_number = pd.api.types.is_numeric_dtype(column)
        missing = int((column.isna() if as_number else column == "").sum())
        if missing:
            instead = "the mean stands in" if as_number else "a level of its own"
            notes.append(f"{name} is blank for {missing} participant(s): {instead}.")
        blocks.append(_numeric(name, column.to_numpy()) if as_number else _levels(name, column.replace("", UNKNOWN)))
    names = [f"{block}[{i}]" if part.shape[1] > 1 else block for block, part, _ in blocks for i in range(part.shape[1])]
    columns = np.hstack([part for _, part, _ in blocks])
    keep, dropped = independent(columns)
    notes += [f"{names[i]} says nothing that the other columns do not, and was left out." for i in dropped]
    cells = _cells(read, plan.strata)
    lone = int((np.bincount(cells) == 1).sum()) if len(plan.strata) > 1 else 0
    if lone:
        notes.append(f"{lone} participant(s) are alone where the strata cross: permutations leave them in their place.")
    return Common(
        columns=columns[:, keep],
        names=tuple(names[i] for i in keep),
        grid=np.concatenate([point for _, _, point in blocks])[keep],
        cells=cells,
        notes=tuple(notes),
    )


def read_covariates(people: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """Read the columns that the plan names: covariates that are numbers as floats, everything else as known words.

    Raises
    ------
    AnalysisError
        A column is missing, a level is spelt in two ways, or a covariate is mostly numbers and holds other text.
    """
    table = people.copy()
    for name in (*plan.covariates, *plan.strata):
        if name not in table:
            raise AnalysisError(
                f"participants.tsv lacks the column {name!r}, which the plan names as covariate or stratum."
            )
        numbers = numbers_in(table[name], f"participants.tsv, {name} of") if name in plan.covariates else None
        if numbers is None:
            table[name] = known(table[name])
            refuse_two_spellings(table[name], f"participants.tsv, column {name}")
        else:
            table[name] = numbers
    return table


def numbers_in(column: pd.Series[Any], where: str) -> FloatArray | None:
    """Values of a column of numbers, NaN where missing; None where most of what is known is no number.

    Raises
    ------
    AnalysisError
        At least half of what is known are numbers, and the rest is not: the first such cell is named by ``where`` and
        its index.
    """
    values, wrong = parse_numbers(column)
    numbers = int(np.isfinite(values).sum())
    if numbers == 0 or numbers < wrong.sum():
        return None
    if wrong.any():
        first = int(wrong.argmax())
        raise AnalysisError(
            f"{where} {column.index[first]} is {why_no_number(column.iloc[first])}, while {numbers} other cells are. "
            "Mend it, or leave it blank if it is not known; for levels, name the column under strata."
        )
    return values


def _numeric(name: str, numbers: FloatArray) -> tuple[str, FloatArray, FloatArray]:
    filled = np.where(np.isfinite(numbers), numbers, np.nanmean(numbers))
    return name, filled[:, None], np.array([filled.mean()])


def _levels(name: str, text: pd.Series[str]) -> tuple[str, FloatArray, FloatArray]:
    """Indicator columns against the first level in alphabetical order."""
    levels = sorted(set(text))
    indicators = (text.to_numpy(dtype=str)[:, None] == np.array(levels[1:], dtype=str)).astype(np.float64)
    return name, indicators, np.full(len(levels) - 1, 1 / len(levels), dtype=np.float64)


def _cells(people: pd.DataFrame, strata: tuple[str, ...]) -> IntArray:
    if not strata:
        return np.zeros(len(people), dtype=np.int64)
    return np.asarray(people.groupby(list(strata), dropna=False).ngroup(), dtype=np.int64)


def independent(columns: FloatArray, *, tolerance: float = 1e-9) -> tuple[list[int], list[int]]:
    """Indices of columns (N, Q) that are linearly independent of those before them, and of those that are not."""
    basis = np.zeros((len(columns), 0))
    keep: list[int] = []
    for i, column in enumerate(columns.T):
        size = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # once more against rounding
        if size > 0 and np.linalg.norm(rest) > tolerance * size:
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
            keep.append(i)
    return keep, [i for i in range(columns.shape[1]) if i not in keep]


def leverage(columns: FloatArray) -> FloatArray:
    """Diagonal of the hat matrix of a full-rank design (N, P), shape (N,); 1 for a row that fits itself."""
    q, _ = np.linalg.qr(columns)
    return np.asarray((q**2).sum(axis=1), dtype=np.float64)


def full_rows(columns: FloatArray) -> npt.NDArray[np.bool_]:
    """Which rows say anything about the others: those with leverage below 1, shape (N,)."""
    return np.asarray(leverage(columns) < 1 - 1e-8, dtype=np.bool_)
