"""Who may be learnt from, and who judges."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mriseg.errors import MrisegError
from mriseg.splits import Split, Splits, load_splits, read_splits

PEOPLE = st.frozensets(st.sampled_from([f"sub-{n}" for n in range(1, 13)]), min_size=1, max_size=6)


def splits(**roles: frozenset[str]) -> Splits:
    return Splits(**{"training": frozenset(), "validation": frozenset(), "test": frozenset(), **roles})


@settings(max_examples=50, deadline=None)
@given(training=PEOPLE, test=PEOPLE)
def test_nobody_has_two_roles(training: frozenset[str], test: frozenset[str]) -> None:
    if training & test:
        with pytest.raises(MrisegError, match=min(training & test)):
            splits(training=training, test=test)
    else:
        assert splits(training=training, test=test).split_of(f"{min(test)}_ses-96m_side-R_dseg.nii.gz") is Split.TEST


@pytest.mark.parametrize("asset", ["atlas", "mean_knee"])
def test_no_asset_is_built_from_a_test_knee(asset: str) -> None:
    with pytest.raises(MrisegError, match=f"{asset} names sub-2"):
        splits(training=frozenset({"sub-1"}), test=frozenset({"sub-2"}), **{asset: frozenset({"sub-1", "sub-2"})})


def test_every_visit_has_the_role_of_its_participant_and_a_longer_name_is_another_participant() -> None:
    own = splits(training=frozenset({"sub-12"}), test=frozenset({"sub-1"}))
    names = [Path(f"labels/{n}_side-R_dseg.nii.gz") for n in ("sub-12_ses-b", "sub-1_ses-b", "sub-12_ses-a")]
    assert [p.name[:12] for p in own.chosen(names, Split.TRAINING)] == ["sub-12_ses-a", "sub-12_ses-b"]
    assert own.chosen(names, Split.TEST) == [names[1]]


@pytest.mark.parametrize("name", ["sub-7_ses-00m", "knee.nii.gz", ""])
def test_a_knee_without_a_role_is_refused(name: str) -> None:
    with pytest.raises(MrisegError, match=r"splits\.toml"):
        splits(training=frozenset({"sub-70"})).split_of(name)


def test_a_file_with_another_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('training = ["sub-1"]\nvalidation = []\ntesting = []\n')
    with pytest.raises(MrisegError, match=r"mine\.toml: found the keys testing, training, validation; expected"):
        read_splits(path)


@pytest.mark.real_data
def test_every_public_label_map_has_a_role_and_the_test_knees_span_the_grades(real_data: Path) -> None:
    own = load_splits()
    with (real_data / "labels" / "labels.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert 6 <= len(own.test) <= 8
    assert {r["kl_grade"] for r in rows if own.split_of(r["file"]) is Split.TEST} == {"0", "1", "2", "3", ""}
