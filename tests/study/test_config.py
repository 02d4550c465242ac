"""study.toml: every key is checked, and the message says which one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.study.config import read_config
from mriseg.study.measuring import measure_parameters
from mriseg.study.steps.register import register_settings

GOOD = """
[study]
id = "trial"
[[visits]]
id = "baseline"
day = 0
[[visits]]
id = "month6"
day = 183
window = [150, 215]
[series]
description = "(?i)dess"
[segment]
method = "readers"
[segment.labels]
10 = 2
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert [v.id for v in config.visits] == ["baseline", "month6"]
    assert config.segment.labels == {10: 2}
    assert config.defects.min_area_mm2 == 5.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[series]", "[serie]"), "unknown key serie"),
        (('method = "readers"', 'method = "reader"'), "segment.method"),
        (('"(?i)dess"', '"("'), "series.description.*regular expression"),
        (("10 = 2", "10 = 9"), "segment.labels"),
        (("[150, 215]", "[200, 215]"), "month6.*outside of its window"),
        (('id = "month6"', 'id = "baseline"'), "not unique"),
        (('id = "month6"', 'id = "../x"'), "visits.1.id"),
        (("day = 0", "day = "), "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_key(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(StudyError, match=expected) as caught:
        read_config(written(tmp_path, GOOD.replace(*change, 1)))
    assert "study.toml" in str(caught.value)


def test_a_plan_that_names_an_unknown_visit_is_refused(tmp_path: Path) -> None:
    plan = '[analysis]\nbaseline = "baseline"\nfollowup = "month12"\nreference = "a"\ntreated = "b"\n'
    with pytest.raises(StudyError, match="month12"):
        read_config(written(tmp_path, GOOD + plan))


def test_an_absent_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="mriseg new"):
        read_config(tmp_path / "study.toml")


def test_any_number_can_be_changed_by_its_name_and_a_wrong_one_is_named(tmp_path):
    text = '[study]\nid = "x"\n[[visits]]\nid = "baseline"\nday = 0\nwindow = [-1, 1]\n'
    path = tmp_path / "study.toml"
    path.write_text(text + '[measure]\nrim_mm = 2.0\n[measure.tuned]\n"cover.wall_level" = 0.5\n"norm.rounds" = 4\n')
    parameters = measure_parameters(read_config(path))
    assert (parameters.rim_mm, parameters.cover.wall_level, parameters.norm.rounds) == (2.0, 0.5, 4)
    path.write_text(text + '[register.tuned]\n"thresholds.failed_overlap" = 0.4\n')
    assert register_settings(read_config(path)).thresholds.failed_overlap == 0.4
    for wrong in ('[measure.tuned]\n"cover.wal" = 0.5\n', '[register.tuned]\n"band.step" = 1\n'):
        path.write_text(text + wrong)
        with pytest.raises(StudyError, match=r"study\.toml.*Unknown parameters"):
            read_config(path)
