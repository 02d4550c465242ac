"""How far two readers agree, against values worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mriseg.errors import StudyError
from mriseg.nifti import read_label_map, write_label_map
from mriseg.study import open_study
from mriseg.study.between_readers import agreement_of_studies, kappa_of_verdicts
from mriseg.study.reviews import ReadVerdict, Review, new_review
from mriseg.types import Label, LabelMap
from tests.study.reviewed import drawn_study


def said(reader: str, *verdicts: str) -> tuple[Review, ...]:
    """One verdict a map: the n-th is about the n-th map."""
    return tuple(
        new_review("sub-01", "base", ReadVerdict(v), reader=reader, map_sha256=f"{n:064x}")
        for n, v in enumerate(verdicts)
    )


def test_kappa_of_two_readers() -> None:
    a, r = "accept", "reject"
    both = said("AB", a, a, a, a, r, r, r, r, a, r) + said("CD", a, a, a, r, r, r, r, a, a, r)
    found = kappa_of_verdicts(both).iloc[0]
    assert (found["readers"], found["n"]) == ("AB, CD", 10)
    assert found["value"] == pytest.approx((0.8 - 0.5) / (1 - 0.5))
    assert found["low"] < found["value"] < found["high"]


def test_only_the_last_word_on_the_same_map_counts() -> None:
    reviews = said("AB", "accept", "reject") + said("AB", "reject", "accept") + said("CD", "reject", "accept")
    assert kappa_of_verdicts(reviews)["value"].item() == pytest.approx(1)
    assert kappa_of_verdicts(said("AB", "accept")).empty


def test_readers_who_said_one_thing_only_have_no_kappa() -> None:
    found = kappa_of_verdicts(said("AB", "accept", "accept") + said("CD", "accept", "accept"))
    assert found["n"].item() == 2
    assert np.isnan(found["value"].item())


def test_overlap_of_two_readings(tmp_path: Path) -> None:
    first = drawn_study(tmp_path / "ab")
    shutil.copytree(tmp_path / "ab", tmp_path / "cd")
    second = open_study(tmp_path / "cd")
    path = second.paths.labels("sub-01", "month6")
    labels = read_label_map(path)
    data = labels.data.copy()
    cartilage = np.argwhere(data == Label.TIBIAL_CARTILAGE)
    data[tuple(cartilage[: len(cartilage) // 2].T)] = 0
    write_label_map(path, LabelMap(data=data, grid=labels.grid))
    for study in (first, second):
        study.paths.group.mkdir(parents=True)
        shutil.copy(study.paths.regions("sub-01"), study.paths.group / "regions.tsv")
    found = agreement_of_studies(first, second).set_index("measure")
    dice = found.loc["Dice of tibial cartilage"]
    assert (dice["n"], dice["low"], dice["high"]) == (3, pytest.approx(2 * 0.5 / 1.5), 1)
    assert found.loc["Dice of femur", "value"] == 1
    assert "Dice of patella" not in found.index


def test_two_trials_have_nothing_to_compare(tmp_path: Path) -> None:
    first, second = drawn_study(tmp_path / "ab"), drawn_study(tmp_path / "cd")
    shutil.rmtree(second.paths.derivatives)
    with pytest.raises(StudyError, match="ab, cd: no visit has a label map in both"):
        agreement_of_studies(first, second)
