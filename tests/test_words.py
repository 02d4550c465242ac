"""One way to read a cell of a table, and one way to read the file around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mriseg.delimited import read_cells, with_names
from mriseg.errors import TableError
from mriseg.types import Side
from mriseg.words import known, parse_numbers, side_of, some, spelt_twice, unit_of, why_no_number, word


@pytest.mark.parametrize("cell", ["s1", " s1", "s1 ", "s1\u00a0", "\ufeffs1", "s1\u200b", "\ts1\r", "\uff531"])
def test_blanks_around_a_word_and_invisible_characters_are_no_part_of_it(cell: str) -> None:
    assert word(cell) == "s1"


def test_blanks_inside_a_word_are_single_and_a_gap_of_a_frame_is_blank() -> None:
    assert word("site \u00a0 A") == "site A"
    assert [word(gap) for gap in (None, float("nan"), pd.NA, pd.NaT, "")] == [""] * 5


MISSING = ["", " ", "NA", "n/a", "#N/A", "NaN", "nan", "NULL", "<NA>", ".", "?", "N.A.", "missing", "unknown", "#NV"]


@pytest.mark.parametrize("cell", MISSING)
def test_every_spelling_of_missing_is_blank_among_words_and_among_numbers(cell: str) -> None:
    assert known(pd.Series([cell])).tolist() == [""]
    values, wrong = parse_numbers(pd.Series(["1", cell]))
    assert np.isnan(values[1])
    assert not wrong.any()


@pytest.mark.parametrize("cell", ["none", "None", "-", "\u2013"])
def test_none_and_a_dash_are_answers_among_words_and_missing_among_numbers(cell: str) -> None:
    assert known(pd.Series([cell])).tolist() == [cell]
    values, wrong = parse_numbers(pd.Series(["1", cell]))
    assert np.isnan(values[1])
    assert not wrong.any()


@pytest.mark.parametrize(
    ("cell", "value"),
    [("63", 63), (" 63.5 ", 63.5), ("1.0e3", 1000), ("1E-2", 0.01), ("+4", 4), (".5", 0.5), ("5.", 5), ("\u22125", -5)],
)
def test_numbers(cell: str, value: float) -> None:
    values, wrong = parse_numbers(pd.Series([cell]))
    assert values.tolist() == [value]
    assert not wrong.any()


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("63,5", "decimal comma"),
        ("1,234", "decimal comma"),
        ("1,234.5", "thousands are not parted"),
        ("1.234,5", "thousands are not parted"),
        ("1\u202f234", "thousands are not parted"),
        ("12 %", "percent sign"),
        ("< 5", "a bound is no value"),
        ("inf", "not finite"),
        ("1e999", "not finite"),
        ("12.5 mm", "its unit"),
        ("1_000", "not a number"),
        ("0x10", "not a number"),
        ("many", "not a number"),
    ],
)
def test_what_is_no_number_is_told_with_a_hint(cell: str, hint: str) -> None:
    values, wrong = parse_numbers(pd.Series(["1", cell]))
    assert wrong.tolist() == [False, True]
    assert np.isnan(values[1])
    assert hint in why_no_number(cell)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_written_and_read(value: float) -> None:
    assert parse_numbers(pd.Series([repr(value)]))[0].tolist() == [value]


def test_a_number_of_a_frame_is_as_it_is_and_infinity_is_none() -> None:
    values, wrong = parse_numbers(pd.Series([1.5, np.nan, np.inf]))
    assert values[0] == 1.5
    assert np.isnan(values[1:]).all()
    assert wrong.tolist() == [False, False, True]


def test_sides_and_units_have_one_spelling_each() -> None:
    assert [side_of(text) for text in ("R", " right", "rt", "L", "LEFT", "Lt ")] == [Side.RIGHT] * 3 + [Side.LEFT] * 3
    assert [side_of(text) for text in ("", "both", "links", "RL")] == [None] * 4
    assert [unit_of(text) for text in ("mm2", "mm²", "mm^2", " MM2", "sq mm")] == ["mm2"] * 5
    assert [unit_of(text) for text in ("cm²", "ml", "percent", "AU", "n/a")] == ["cm2", "cm3", "%", "AU", ""]


@pytest.mark.parametrize("pair", [("S1", "s1"), ("1", "1.0"), ("01", "1"), ("1e3", "1000")])
def test_a_word_that_differs_by_case_and_a_number_that_differs_by_digits_are_spelt_twice(pair: tuple[str, str]) -> None:
    assert sorted(spelt_twice(pd.Series([*pair, "other", ""]))) == sorted(pair)


def test_different_words_and_long_codes_are_not_spelt_twice() -> None:
    assert spelt_twice(pd.Series(["s1", "s2", "", "10", "1"])) == []
    assert spelt_twice(pd.Series(["10000000000000001", "10000000000000000"])) == []


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["\t", ";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_whatever_its_separator_line_ends_and_mark(
    tmp_path: Path, end: str, mark: str, encoding: str
) -> None:
    text = end.join([mark.join(row) for row in (("id", " age "), ("1", "6.5"), ("", " "), ("2", ""))]) + end
    table = read_cells(written(tmp_path, text.encode(encoding)))
    assert table.to_dict("list") == {"id": ["1", "2"], "age": ["6.5", ""]}


def test_the_separator_is_the_one_that_parts_the_header(tmp_path: Path) -> None:
    table = read_cells(written(tmp_path, b'"age, years; months";site\n63;"a;b"\n'))
    assert table.to_dict("list") == {"age, years; months": ["63"], "site": ["a;b"]}


def test_cells_that_are_missing_at_the_end_of_a_line_are_blank_and_row_names_are_left_out(tmp_path: Path) -> None:
    assert read_cells(written(tmp_path, b"a\tb\n1\n")).to_dict("list") == {"a": ["1"], "b": [""]}
    assert read_cells(written(tmp_path, b",a\n0,1\n")).to_dict("list") == {"a": ["1"]}
    assert read_cells(written(tmp_path, b"a,b,,\n1,2,,\n")).to_dict("list") == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (
            b"id,age\n1,63,5\n",
            "line 2: 3 cells under 2 headers. Does a cell hold the separator, such as a decimal comma",
        ),
        (b"id,age,\n1,63,5\n", "3 cells under 2 headers"),
        (b"id,age, age\n1,2,3\n", "the header 'age' comes more than once"),
        (b"id,,age\n1,2,3\n", "a column has no header"),
        ("id,site\n1,Zürich\n".encode("cp1252"), "not a table of text columns in UTF-8"),
        (b"PK\x03\x04\x00\x00id,site\n", "not a table of text columns in UTF-8"),
        (b'id,age\n1,"63\n2,64\n', "line 3: is not a table of text columns"),
    ],
)
def test_a_file_that_would_be_misread_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message.replace(".", r"\.")):
        read_cells(written(tmp_path, data))


def test_headers_are_found_whatever_their_case_and_two_that_answer_to_one_name_are_refused() -> None:
    table = with_names(pd.DataFrame({"Participant_ID ": ["1"], "Site": ["a"]}), ["participant_id"], "t.tsv")
    assert list(table.columns) == ["participant_id", "Site"]
    with pytest.raises(TableError, match=r"t.tsv: the columns 'Side', 'side' are all side"):
        with_names(pd.DataFrame({"Side": ["L"], "side": ["R"]}), ["side"], "t.tsv")


def test_a_long_list_is_cut_and_counted() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some("abcdef") == "a, b, c, d, e and 1 more"
