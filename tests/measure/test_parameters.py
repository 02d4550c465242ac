"""Every number is data: recorded, changeable, of one value; a change of one moves what is asserted."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from mriseg.errors import MeasurementError, ParameterError
from mriseg.measure import MeasureParameters
from mriseg.parameters import changed, flat

sys.path.insert(0, str(Path(__file__).parent))
from knees import COARSE, TIBIA, coarse_knee, only
from mutation import moved, result_of, telling

SAMPLED = (
    "cover.wall_level",
    "cover.column_low_mm",
    "footprint.expected",
    "norm.local_mm",
    "figure.extreme",
    "central_fraction",
    "atlas.fit.steps",
    "coverage_smoothing_mm",
)


@pytest.fixture(scope="module")
def tibias():
    return tuple(only(coarse_knee(v), TIBIA) for v in ("baseline", "month6"))


@pytest.fixture(scope="module")
def plain(tibias):
    return result_of(tibias, COARSE)


@pytest.mark.parametrize("name", SAMPLED)
def test_a_telling_change_of_a_number_moves_a_figure(name, tibias, plain):
    assert moved(plain, result_of(tibias, COARSE, name)) > 1e-3  # all of them: benchmarks/parameters.py


def test_a_repeated_measurement_moves_nothing(tibias, plain):
    assert moved(plain, result_of(tibias, COARSE)) == 0.0


def test_every_number_is_listed_once_and_documented():
    def check(group):
        for one in fields(group):
            value = getattr(group, one.name)
            assert one.name in (type(group).__doc__ or ""), f"{type(group).__name__}.{one.name} is not documented"
            if is_dataclass(value):
                check(value)

    check(MeasureParameters())
    assert len(flat(MeasureParameters())) > 90


@pytest.mark.parametrize("name", list(flat(MeasureParameters())))
def test_every_number_can_be_changed_by_its_name_and_is_recorded(name):
    value = telling(name)
    assert flat(changed(MeasureParameters(), {name: value}))[name] == value != flat(MeasureParameters())[name]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rim": 2.0}, "Unknown parameters"),
        ({"cover.wall": 0.5}, "Unknown parameters"),
        ({"cover": 0.5}, "Unknown parameters"),
        ({"rim_mm": "2,5"}, "expected a number"),
        ({"rim_mm": float("nan")}, "expected a number"),
        ({"cover.wall_reach": 1.5}, "whole number"),
        ({"atlas.fit.smoothing_mm": 8.0}, "row of numbers"),
    ],
)
def test_a_change_that_means_nothing_is_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        changed(MeasureParameters(), values)


def test_a_number_out_of_range_is_refused():
    with pytest.raises(MeasurementError, match="rim_mm"):
        MeasureParameters().with_values(rim_mm=-1.0)
