"""What leaves ``dicom`` carries no identity, and the images stay the same images."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.dicom import Pseudonyms, compare_protocol, deidentify, export_all, read_secret, scan, sidecar
from mriseg.dicom.sources import quiet
from mriseg.errors import DicomError
from tests.dicom.builders import Stack, classic, enhanced, save
from tests.dicom.planting import planted, text_of

NAMES = Pseudonyms(secret=b"a secret of sixteen bytes and more")


@pytest.fixture
def identified(tmp_path: Path) -> tuple[Path, list[str]]:
    slices = classic(Stack())
    with quiet():
        words, *_ = [planted(ds) for ds in slices]
        save(slices, tmp_path / "dicom")
    raw = text_of(tmp_path / "dicom")
    assert len(words) >= 40
    assert all(word.encode() in raw for word in words)
    return tmp_path / "dicom", words


def test_forty_planted_strings_are_gone_from_the_copy(identified: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, words = identified
    result = deidentify(folder, tmp_path / "out", NAMES)
    assert len(result.written) == 6
    content = text_of(tmp_path / "out") + repr(result).encode()
    assert not [w for w in words if w.encode() in content or w.encode("utf-16-le") in content]
    assert b"20240310" not in content


def test_forty_planted_strings_are_in_no_output_of_convert(
    identified: tuple[Path, list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, words = identified
    caplog.set_level(logging.DEBUG)
    found = scan(folder)
    export_all(found.volumes, tmp_path / "out")
    run = CliRunner().invoke(app, ["convert", str(folder), str(tmp_path / "cli")])
    (volume,) = found.volumes
    content = text_of(tmp_path / "out") + text_of(tmp_path / "cli") + caplog.text.encode() + run.output.encode()
    content += repr(found).encode() + str(sidecar(volume)).encode()
    content += str(
        compare_protocol(volume.header, scan(Path(pydicom.data.get_testdata_file("MR_small.dcm"))).volumes[0].header)
    ).encode()
    assert not [w for w in words if w.encode() in content]
    assert b"2024" not in content


def test_damaged_files_quote_nothing_in_their_refusals(identified: tuple[Path, list[str]]) -> None:
    folder, words = identified
    path = folder / "im0003.dcm"
    data = path.read_bytes()
    for cut in range(140, len(data), 97):
        path.write_bytes(data[:cut])
        said = " ".join(map(str, scan(folder).refused))
        assert not [w for w in words if w in said]


def test_the_images_stay_the_same(tmp_path: Path) -> None:
    for ds, name in ((classic(Stack()), "classic"), ([enhanced(Stack(), echoes=(4.5, 9.0))], "enhanced")):
        save(ds, tmp_path / name)
        deidentify(tmp_path / name, tmp_path / f"{name}-out", NAMES)
        before, after = scan(tmp_path / name).volumes, scan(tmp_path / f"{name}-out").volumes
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a.read().data, b.read().data)
            assert a.read().grid.same_as(b.read().grid, tolerance_mm=1e-6)
            assert not compare_protocol(a.header, b.header)
            assert a.name == b.name
            assert not set(a.sop_uids) & set(b.sop_uids)


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm",
                                  "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])  # fmt: skip
def test_files_of_other_people_in_every_syntax(name: str, tmp_path: Path) -> None:
    path = Path(pydicom.data.get_testdata_file(name))
    result = deidentify(path, tmp_path, NAMES)
    (before,), (after,) = scan(path).volumes, scan(tmp_path).volumes
    np.testing.assert_array_equal(before.read().data, after.read().data)
    assert result.warnings  # a derived image that does not say whether text is burned in
    assert "CompressedSamples" not in text_of(tmp_path).decode("latin-1")


def test_identifiers_are_remapped_consistently(tmp_path: Path) -> None:
    save(classic(Stack()), tmp_path / "a")
    save(classic(Stack(), number=4), tmp_path / "b")
    deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    deidentify(tmp_path / "b", tmp_path / "y", NAMES)
    (a,), (b,) = scan(tmp_path / "x").volumes, scan(tmp_path / "y").volumes
    assert a.header.study_uid == b.header.study_uid
    assert a.series_uid != b.series_uid
    assert a.header.patient_key == b.header.patient_key != "MRN-1"
    deidentify(tmp_path / "a", tmp_path / "z", Pseudonyms(secret=b"another secret of a study"))
    assert scan(tmp_path / "z").volumes[0].header.patient_key != a.header.patient_key


def test_intervals_between_visits_survive(tmp_path: Path) -> None:
    save(classic(Stack()), tmp_path / "a" / "1")
    save(classic(Stack(seed=2), AcquisitionDate="20240911", AcquisitionTime="071500"), tmp_path / "a" / "2")
    other = classic(Stack(seed=3), PatientID="MRN-2")
    save(other, tmp_path / "a" / "3")
    deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    acquired = {}
    for volume in scan(tmp_path / "x").volumes:
        assert volume.header.acquired is not None
        acquired.setdefault(volume.header.patient_key, []).append(volume.header.acquired)
    first, second = sorted(max(acquired.values(), key=len))
    assert (second.date() - first.date()).days == 185
    assert (second.hour, second.minute) == (7, 15)
    assert len({v[0].date() for v in acquired.values()}) == 2


def test_the_copy_says_what_was_done_and_is_valid(tmp_path: Path) -> None:
    save(classic(Stack()), tmp_path / "a")
    copy = pydicom.dcmread(deidentify(tmp_path / "a", tmp_path / "x", NAMES).written[0])
    assert copy.PatientIdentityRemoved == "YES"
    assert copy.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in copy.DeidentificationMethodCodeSequence] == ["113100", "113105", "113107"]
    assert copy.PatientBirthDate == copy.AccessionNumber == ""
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    assert UID(copy.SOPInstanceUID).is_valid


def test_needed_private_numbers_stay(tmp_path: Path) -> None:
    slices = classic(Stack(), Manufacturer="Philips", RescaleSlope="1.5", RescaleIntercept="0")
    for ds in slices:
        ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.0125)
    save(slices, tmp_path / "a")
    deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    (before,), (after,) = scan(tmp_path / "a").volumes, scan(tmp_path / "x").volumes
    np.testing.assert_array_equal(before.read().data, after.read().data)


def test_what_is_no_mr_image_is_left_out(tmp_path: Path) -> None:
    source = Path(pydicom.__file__).parent / "data/test_files"
    for name in ("reportsi.dcm", "CT_small.dcm", "rtplan.dcm", "README.txt"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    result = deidentify(tmp_path, tmp_path.parent / "x", NAMES)
    assert not result.written
    assert len(result.refused) == 4


def test_announced_text_is_warned_of(tmp_path: Path) -> None:
    save(classic(Stack(), BurnedInAnnotation="YES"), tmp_path / "a")
    (warning,) = deidentify(tmp_path / "a", tmp_path / "x", NAMES).warnings
    assert "6 images may show burned-in text" in warning


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "trial.secret"
    assert read_secret(path) == read_secret(path)
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("short")
    with pytest.raises(DicomError, match="too short"):
        read_secret(path)


def test_the_copy_must_not_lie_inside_its_source(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match="inside"):
        deidentify(tmp_path, tmp_path / "out", NAMES)


def test_implicit_and_explicit_syntax_are_kept(tmp_path: Path) -> None:
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        save(classic(Stack()), tmp_path / syntax, syntax=syntax)
        deidentify(tmp_path / syntax, tmp_path / f"{syntax}-out", NAMES)
        (volume,) = scan(tmp_path / f"{syntax}-out").volumes
        assert volume.read().data.max() == Stack().pixels.max()


def test_the_command(tmp_path: Path) -> None:
    save(classic(Stack()), tmp_path / "a")
    arguments = ["deidentify", str(tmp_path / "a"), str(tmp_path / "x"), "--secret", str(tmp_path / "s")]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert "6 images written" in run.output


def test_the_sidecar_is_json_and_names_its_sources(tmp_path: Path) -> None:
    save(classic(Stack()), tmp_path)
    (found,) = scan(tmp_path).volumes
    facts = json.loads(json.dumps(sidecar(found, visit="m06")))
    assert facts["series_uid"] == found.series_uid
    assert len(facts["sop_uids"]) == 6
    assert facts["visit"] == "m06"
    assert keyword_for_tag(0x00100010) not in facts


def test_no_copy_takes_the_place_of_another(tmp_path: Path) -> None:
    save(classic(Stack(), SOPInstanceUID="1.2.3.4.5"), tmp_path / "a")
    result = deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    assert len(result.written) == len(list((tmp_path / "x").rglob("*.dcm"))) == 1
    assert [r.name for r in result.account.troubled] == [f"im000{n}.dcm" for n in range(1, 6)]
    (line,) = result.account.troubles
    assert "has the SOPInstanceUID of im0000.dcm" in line
    assert any("5 files that lie among its images could not be copied" in w for w in result.warnings)


def test_the_same_image_twice_is_copied_once_and_counted(tmp_path: Path) -> None:
    save([*classic(Stack()), classic(Stack())[2]], tmp_path / "a")
    result = deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    assert len(result.written) == 6
    assert not result.account.troubled
    assert "1 x copy of an image that is there already" in result.account.passed_over


@pytest.mark.parametrize("tag", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("how", ["blank", "absent"])
def test_an_image_without_identifiers_is_refused_by_file_and_the_others_go_on(
    tag: str, how: str, tmp_path: Path
) -> None:
    slices = classic(Stack())
    setattr(slices[2], tag, "")
    if how == "absent":
        delattr(slices[2], tag)
    for k, ds in enumerate(slices):
        ds.save_as(tmp_path / f"im{k}.dcm", implicit_vr=False, little_endian=True)
    result = deidentify(tmp_path, tmp_path.parent / f"{tmp_path.name}-out", NAMES)
    assert len(result.written) == 5
    assert [r.name for r in result.account.troubled] == ["im2.dcm"]
    assert f"{tag} is missing" in result.account.troubles[0]


@pytest.mark.parametrize("number", ["x", "1e99", "-5", ""])
def test_one_odd_file_stops_no_other(number: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    with quiet():
        slices[1]["SeriesNumber"]._value = number
        save(slices, tmp_path / "a")
        (tmp_path / "a" / "im0002.dcm").write_bytes(b"damaged")
        result = deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    assert len(result.written) == len(list((tmp_path / "x").rglob("*.dcm"))) == 5
    assert [r.name for r in result.account.troubled] == ["im0002.dcm"]


def test_a_second_run_keeps_copies_and_never_replaces_other_ones(tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path / "a")
    assert len(deidentify(tmp_path / "a", tmp_path / "x", NAMES).written) == 6
    assert len(deidentify(tmp_path / "a", tmp_path / "x", NAMES).written) == 6
    data = bytearray(paths[0].read_bytes())
    data[-1] ^= 1
    paths[0].write_bytes(data)
    result = deidentify(tmp_path / "a", tmp_path / "x", NAMES)
    assert len(result.written) == 5
    assert "another copy with its identifiers is there already" in result.account.troubles[0]
