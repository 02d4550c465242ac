"""Two visits with another protocol are told apart from two visits with the same one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mriseg.dicom import Severity, compare_protocol, scan
from mriseg.dicom.naming import clean, describe, unique
from mriseg.dicom.records import SeriesHeader
from tests.dicom.builders import Stack, classic, save


@pytest.fixture
def header(tmp_path: Path) -> SeriesHeader:
    save(classic(Stack(), SoftwareVersions="syngo MR E11", ReceiveCoilName="TxRx_Knee15"), tmp_path)
    return scan(tmp_path).volumes[0].header


def test_the_same_protocol_deviates_in_nothing(header: SeriesHeader) -> None:
    assert compare_protocol(header, header) == ()


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        ({"field_tesla": 1.5}, Severity.BLOCK),
        ({"manufacturer": "GE MEDICAL SYSTEMS"}, Severity.BLOCK),
        ({"model": "Skyra"}, Severity.WARN),
        ({"coil": "Body"}, Severity.WARN),
        ({"software": "syngo MR XA30"}, Severity.NOTE),
        ({"echo_ms": 5.1}, Severity.BLOCK),
        ({"repetition_ms": 20.0}, Severity.WARN),
        ({"flip_deg": 30.0}, Severity.WARN),
        ({"spacing_mm": (0.4, 0.5, 0.7)}, Severity.BLOCK),
        ({"spacing_mm": (0.45, 0.5, 1.5)}, Severity.BLOCK),
        ({"shape": (7, 9, 8)}, Severity.NOTE),
        ({"flip_deg": None}, Severity.NOTE),
    ],
    ids=str,
)
def test_severity_of_each_deviation(header: SeriesHeader, change: dict[str, object], severity: Severity) -> None:
    (deviation,) = compare_protocol(header, replace(header, **change))
    assert deviation.severity is severity
    (back,) = compare_protocol(replace(header, **change), header)
    assert (back.first, back.second) == (deviation.second, deviation.first)


@pytest.mark.parametrize(
    "change",
    [{"echo_ms": 4.52}, {"repetition_ms": 16.35}, {"spacing_mm": (0.401, 0.5, 1.501)}, {"spacing_mm": (0.5, 0.4, 1.5)}],
    ids=str,
)
def test_what_scanners_vary_is_no_deviation(header: SeriesHeader, change: dict[str, object]) -> None:
    assert compare_protocol(header, replace(header, **change)) == ()


def test_worst_first(header: SeriesHeader) -> None:
    found = compare_protocol(header, replace(header, software="1.2", model="Skyra", field_tesla=1.5))
    assert [d.severity for d in found] == [Severity.BLOCK, Severity.WARN, Severity.NOTE]
    assert str(found[0]) == "block: field_tesla 3 -> 1.5"


def test_unknown_words_can_be_compared_but_not_read() -> None:
    assert clean("Knee Array of Dr Miller") == clean("Knee Array of Dr Miller")
    assert clean("Knee Array of Dr Miller") != clean("Knee Array of Dr Smith")
    assert "Miller" not in clean("Knee Array of Dr Miller")
    assert "12345678" not in clean("coil 12345678")


@pytest.mark.parametrize("text", ["syngo MR E11", "5.3.1 5.3.1.3", "DISCOVERY MR750", "TxRx Knee", "SE", "t1 fl3d"])
def test_technical_words_stay(text: str) -> None:
    assert clean(text) == text


def test_names_hold_known_words_only() -> None:
    assert describe("SAG 3D DESS WE MILLER^JANE 19560412") == "sag-3d-dess-we"
    assert describe("") == ""
    assert unique(["a", "b", "a"]) == ["a_1", "b", "a_2"]
