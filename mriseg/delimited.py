"""Tables in text files, whatever their separator and line ends: every cell as text, every line under its headers."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mriseg.errors import TableError
from mriseg.words import word

DELIMITERS = "\t;,"


def read_cells(path: Path) -> pd.DataFrame:
    """Read a delimited text file (tab, semicolon or comma, by its first line) in UTF-8, or UTF-16 with its mark.

    Cells stay as they are written, headers are read as `mriseg.words.word`. Lines of blanks are left out; cells that
    are missing at the end of a line are ''. A first column without a header, as row names are written, is left out.

    Raises
    ------
    TableError
        The file cannot be read, is no such text, repeats a header, or has a line with more cells than headers.
    """
    rows = [(number, row) for number, row in _rows(path) if any(map(word, row))]
    if not rows:
        raise TableError(f"{path} is not a table of text columns: it is empty.")
    header = [word(cell) for cell in rows[0][1]]
    while not header[-1]:
        header.pop()
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice or "" in header[1:]:
        what = f"the header {', '.join(map(repr, twice))} comes more than once" if twice else "a column has no header"
        raise TableError(f"{path.name}: {what}; found {', '.join(header)}.")
    cells = [_fitted(row, header, f"{path.name}, line {number}") for number, row in rows[1:]]
    return pd.DataFrame(cells, columns=header, dtype=object).drop(columns="", errors="ignore")


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Every line of cells with the number of its line in the file, the last one where a cell holds line ends."""
    text = _text(path)
    head = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([head], delimiter=mark), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TableError(f"{path.name}, line {reader.line_num}: is not a table of text columns: {error}.") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}).") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise TableError(
            f"{path.name} is not a table of text columns in UTF-8. Save the sheet as text (TSV or CSV), encoding UTF-8."
        )
    return text


def _fitted(row: list[str], header: list[str], where: str) -> list[str]:
    """One line with a cell for each header."""
    surplus = [cell for cell in row[len(header) :] if word(cell)]
    if surplus:
        raise TableError(
            f"{where}: {len(row)} cells under {len(header)} headers. Does a cell hold the separator, such as a decimal "
            "comma in a table parted by commas?"
        )
    return [*row, *[""] * (len(header) - len(row))][: len(header)]


def with_names(table: pd.DataFrame, names: Iterable[str], source: str) -> pd.DataFrame:
    """Call columns by ``names`` where their headers differ from these by case or blanks alone.

    Raises
    ------
    TableError
        Two columns answer to one name.
    """
    read = {column: word(column) for column in table.columns}
    found: dict[str, str] = {}
    for name in names:
        spelt = [column for column, text in read.items() if text.casefold() == name.casefold()]
        if len(spelt) > 1:
            raise TableError(f"{source}: the columns {', '.join(map(repr, spelt))} are all {name}; expected one.")
        found |= dict.fromkeys(spelt, name)
    return table.rename(columns=read | found)
