"""What a reader decided is kept line by line, belongs to the content of one map, and makes a value count or not."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import StudyError
from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.group import gather
from mriseg.study.model import Study
from mriseg.study.paths import sidecar_of
from mriseg.study.reading import judge, worklist
from mriseg.study.reviews import COLUMNS, ReadVerdict, append_review, new_review, one_line, read_reviews
from mriseg.study.verdicts import Standing, judged_defects, judged_regions, verdict_of
from tests.study.reviewed import DEFECTS, REGIONS, small_study

OLD, NEW, OTHER = ("0" * 64, "1" * 64, "2" * 64)


def said(verdict: str, reader: str, sha: str = OLD, visit: str = "month6", **more: str):
    return new_review("sub-01", visit, ReadVerdict(verdict), reader=reader, map_sha256=sha, **more)


def standing(*reviews, sha: str = OLD) -> Standing:
    return verdict_of(reviews, "sub-01", "month6", sha).standing


def test_a_map_that_nobody_saw_is_unjudged_and_so_is_one_that_changed() -> None:
    assert standing() is Standing.UNJUDGED
    assert standing(said("accept", "AB"), sha=NEW) is Standing.UNJUDGED
    assert standing(said("accept", "AB", visit="baseline")) is Standing.UNJUDGED
    assert standing(said("accept", "AB", sha=NEW), said("accept", "AB")) is Standing.ACCEPTED


def test_the_last_word_of_a_reader_counts() -> None:
    assert standing(said("accept", "AB"), said("reject", "AB")) is Standing.REJECTED
    assert standing(said("reject", "AB"), said("accept", "AB")) is Standing.ACCEPTED


def test_two_readers_who_differ_leave_it_to_a_third() -> None:
    two = said("accept", "AB"), said("reject", "CD")
    assert standing(*two) is Standing.DISPUTED
    assert standing(*two, said("reject", "EF")) is Standing.REJECTED
    assert standing(*two, said("accept", "EF")) is Standing.ACCEPTED


def test_a_correction_speaks_for_its_map_and_against_the_one_before() -> None:
    corrected = said("correct", "AB", correction_sha256=NEW)
    assert standing(corrected) is Standing.REJECTED
    assert standing(corrected, sha=NEW) is Standing.ACCEPTED
    assert standing(corrected, said("reject", "CD", sha=NEW), sha=NEW) is Standing.DISPUTED
    assert standing(corrected, sha=OTHER) is Standing.UNJUDGED


def test_the_reason_names_the_reader_and_the_comment() -> None:
    reason = verdict_of([said("reject", "AB", comment="motion")], "sub-01", "month6", OLD).reason
    assert reason.startswith("rejected by AB on 20")
    assert reason.endswith("(motion)")


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv"
    rows = [said("accept", "AB", comment='a "plate"\tand\nmore'), said("correct", "CD", correction_sha256=NEW)]
    for row in rows:
        append_review(path, row)
    assert list(read_reviews(path)) == rows
    assert rows[0].comment == 'a "plate" and more'
    assert tuple(pd.read_csv(path, sep="\t").columns) == COLUMNS


def _append(path: Path, reader: str) -> None:
    for n in range(20):
        append_review(path, said("accept", reader, comment=f"plate {n}"))


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path, readers = tmp_path / "reviews.tsv", ["AB", "CD", "EF"]
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(_append, [path] * 3, readers))
    found = read_reviews(path)
    assert [sum(r.reader == name for r in found) for name in readers] == [20, 20, 20]
    for name in readers:
        assert [r.comment for r in found if r.reader == name] == [f"plate {n}" for n in range(20)]


@pytest.mark.parametrize("cut", [1, 10, 90])
def test_a_row_that_a_crash_cut_off_is_no_review_and_spoils_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "reviews.tsv"
    append_review(path, said("accept", "AB"))
    append_review(path, said("reject", "CD"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.reader for r in read_reviews(path)] == ["AB"]
    append_review(path, said("reject", "EF"))
    assert [r.reader for r in read_reviews(path)] == ["AB", "EF"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("verdict", "perhaps"),
        ("reader", "Anna Berg"),
        ("map_sha256", "abc"),
        ("participant_id", "../sub-01"),
        ("visit", "a/b"),
        ("seconds", "-3"),
        ("time", "yesterday"),
        ("correction_sha256", "1" * 64),
    ],
)
def test_a_row_that_is_no_review_is_named_with_its_place(tmp_path: Path, column: str, value: str) -> None:
    path = tmp_path / "reviews.tsv"
    append_review(path, said("accept", "AB"))
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table.loc[0, column] = value
    table.to_csv(path, sep="\t", index=False)
    with pytest.raises(StudyError, match=r"reviews.tsv, row 2"):
        read_reviews(path)


@given(st.text(max_size=200))
def test_a_comment_is_one_line_without_formulas_or_it_is_refused(text: str) -> None:
    with suppress(StudyError):
        line = one_line(text)
        assert line.isprintable()
        assert not line.startswith(("=", "+", "-", "@", " "))
        assert one_line(line) == line


@pytest.mark.parametrize("text", ["born 3.11.1931", "case 4711081", "1931-11-03", "DOE^JANE", "03/11/31"])
def test_what_may_identify_a_person_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(StudyError, match="may identify a person") as error:
        said("accept", "AB", comment=text)
    assert text not in str(error.value)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path / "study")


def states(study: Study, visit: str) -> list[tuple[str, str]]:
    gather(study)
    table = pd.read_csv(study.paths.group / "regions.tsv", sep="\t", dtype=str, keep_default_na=False)
    return list(table[table["visit"] == visit][["state", "value"]].itertuples(index=False, name=None))


def test_an_accepted_map_makes_its_waiting_values_count(study: Study) -> None:
    assert states(study, "month6") == [("needs-review", "30.5"), ("missing", "")]
    judge(study, "sub-01", "month6", ReadVerdict.ACCEPT, reader="AB")
    assert states(study, "month6") == [("measured", "30.5"), ("missing", "")]
    assert states(study, "baseline") == [("needs-review", "20.125"), ("measured", "7")]
    patient = study.patient("sub-01")
    assert patient.regions()["state"].tolist() == ["needs-review", "measured", "measured", "missing"]
    assert patient.measured_regions()["state"].tolist() == ["needs-review", "measured", "needs-review", "missing"]


def test_a_rejected_map_leaves_no_value_and_no_lesion(study: Study) -> None:
    judge(study, "sub-01", "month6", ReadVerdict.REJECT, reader="AB", comment="motion")
    assert states(study, "month6") == [("rejected", ""), ("missing", "")]
    assert states(study, "baseline") == [("needs-review", "20.125"), ("measured", "7")]
    defects = pd.read_csv(study.paths.group / "defects.tsv", sep="\t")
    assert defects["visit"].tolist() == ["baseline"]
    assert defects[["matched_defect_id", "change_mm2", "fate"]].isna().all(axis=None)


def test_a_dispute_holds_the_values_back(study: Study) -> None:
    for reader, verdict in (("AB", ReadVerdict.ACCEPT), ("CD", ReadVerdict.REJECT)):
        judge(study, "sub-01", "baseline", verdict, reader=reader)
    assert states(study, "baseline") == [("needs-review", "20.125"), ("needs-review", "7")]


def test_a_map_that_changed_is_unjudged_again(study: Study) -> None:
    judge(study, "sub-01", "month6", ReadVerdict.ACCEPT, reader="AB")
    study.paths.labels("sub-01", "month6").write_bytes(b"another map")
    assert states(study, "month6")[0] == ("needs-review", "30.5")


def test_a_verdict_on_a_map_that_is_no_longer_there_is_refused(study: Study) -> None:
    with pytest.raises(StudyError, match="changed while it was read"):
        judge(study, "sub-01", "month6", ReadVerdict.ACCEPT, reader="AB", of_map=OLD)
    assert not study.paths.reviews.exists()


def test_the_worklist_begins_with_what_waits_and_is_worst(study: Study) -> None:
    assert [(r.participant_id, r.visit, r.waits) for r in worklist(study)] == [
        ("sub-01", "baseline", True),
        ("sub-01", "month6", True),
        ("sub-02", "baseline", False),
    ]
    for visit in ("baseline", "month6"):
        judge(study, "sub-01", visit, ReadVerdict.ACCEPT, reader="AB")
    judge(study, "sub-02", "baseline", ReadVerdict.ACCEPT, reader="AB")
    judge(study, "sub-02", "baseline", ReadVerdict.REJECT, reader="CD")
    assert worklist(study)[0].participant_id == "sub-02"


def review(study: Study, *arguments: str):
    return CliRunner().invoke(app, ["review", str(study.paths.root), *arguments])


def test_the_command_judges_lists_and_counts(study: Study) -> None:
    assert "2 of 3 visit(s) wait" in review(study, "--list").output
    done = review(study, "--accept", "sub-01", "month6", "--reader", "AB")
    assert done.exit_code == 0, done.output
    assert "1 visit(s) wait" in done.output
    row = read_reviews(study.paths.reviews)[0]
    assert (row.verdict, row.reader) == ("accept", "AB")
    assert row.map_sha256 == sha256(study.paths.labels("sub-01", "month6"))
    assert "sub-01 baseline: unjudged, needs-review: edge is not sharp" in review(study, "--list").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accept", "sub-09", "month6", "--reader", "AB"], "sub-09 is not in participants.tsv"),
        (["--accept", "sub-01", "month9", "--reader", "AB"], "'month9' is no visit"),
        (["--accept", "sub-02", "month6", "--reader", "AB"], "no label map to judge"),
        (["--accept", "sub-01", "month6", "--reader", "Anna Berg"], "is no code"),
    ],
)
def test_a_verdict_that_cannot_be_is_refused(study: Study, arguments: list[str], message: str) -> None:
    result = review(study, *arguments)
    assert result.exit_code == 1
    assert message in str(result.exception)
    assert not study.paths.reviews.exists()


def test_a_verdict_without_a_reader_is_wrong_use(study: Study) -> None:
    assert review(study, "--accept", "sub-01", "month6").exit_code == 2


def test_tables_without_judgements_stay_as_they_are() -> None:
    for table, judged in ((REGIONS, judged_regions), (DEFECTS, judged_defects)):
        pd.testing.assert_frame_equal(judged(table, {}), table)


def test_segmentation_sidecars_are_read_for_the_reasons(study: Study) -> None:
    sidecar = sidecar_of(study.paths.labels("sub-01", "month6"))
    content = json.loads(sidecar.read_text())
    content["assessment"]["reasons"] = ["tibia is cut"]
    sidecar.write_text(json.dumps(content))
    assert worklist(open_study(study.paths.root))[1].reasons == ("tibia is cut",)
