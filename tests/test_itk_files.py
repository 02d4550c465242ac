"""NRRD, 3D Slicer segmentations and MetaImage give the labels that NIfTI gives, or a named refusal."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from mriseg.errors import GeometryError, SegmentationError
from mriseg.geometry import to_sitk
from mriseg.itk_files import read_itk
from mriseg.named_segments import label_map_of
from mriseg.structures import structure_named
from mriseg.types import Grid, Label, LabelMap

SHAPE = (4, 5, 6)
AFFINE = np.array([[0, 0, -0.7, 60], [0.36, 0.02, 0, -20], [-0.02, 0.36, 0, 5], [0, 0, 0, 1.0]])
FEMUR, CARTILAGE = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
FEMUR[1:3, 1:3, 1:3], CARTILAGE[3, 1:3, 1:3] = 1, 1


def labels() -> LabelMap:
    data = np.random.default_rng(1).integers(0, 7, SHAPE).astype(np.uint8)
    return LabelMap(data=data, grid=Grid(shape=SHAPE, affine=AFFINE))


def slicer_file(path: Path, layers: list[np.ndarray], *segments: tuple[str, int, int], **header: str) -> Path:
    """A ``.seg.nrrd`` as 3D Slicer writes it: layers along the first axis, one text line a property of a segment."""
    fields = {
        "type": "unsigned char",
        "dimension": "4",
        "space": "left-posterior-superior",
        "sizes": f"{len(layers)} 4 5 6",
        "space directions": "none (0.5,0,0) (0,0.5,0) (0,0,1)",
        "kinds": "list domain domain domain",
        "encoding": "gzip",
        "space origin": "(-10,20,3)",
    } | {key.replace("_", " "): value for key, value in header.items()}
    lines = ["NRRD0004", *(f"{key}: {value}" for key, value in fields.items())]
    for n, (name, value, layer) in enumerate(segments):
        lines += [f"Segment{n}_Name:={name}", f"Segment{n}_LabelValue:={value}", f"Segment{n}_Layer:={layer}"]
    values = np.stack(layers).tobytes(order="F")
    path.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(values))
    return path


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_label_map_comes_back_in_its_place(name: str, packed: bool, tmp_path: Path) -> None:
    drawn = labels()
    sitk.WriteImage(to_sitk(drawn.data, drawn.grid), str(tmp_path / name), packed)
    back = label_map_of(read_itk(tmp_path / name), name)
    np.testing.assert_array_equal(back.data, drawn.data)
    assert back.grid.same_as(drawn.grid, tolerance_mm=1e-6)


def test_segments_go_by_their_names_in_whatever_layer_and_value(tmp_path: Path) -> None:
    path = slicer_file(tmp_path / "a.seg.nrrd", [CARTILAGE, FEMUR], ("Femoral cartilage", 1, 0), ("Femur", 1, 1))
    found = label_map_of(read_itk(path), path.name)
    np.testing.assert_array_equal(found.data, FEMUR * Label.FEMUR + CARTILAGE * Label.FEMORAL_CARTILAGE)
    np.testing.assert_allclose(found.grid.affine[:, 3], (10, -20, 3, 1))


@pytest.mark.parametrize(
    ("segments", "declared", "said"),
    [
        ((("Femur", 1, 0), ("Medial meniscus", 1, 1)), {}, r"'Medial meniscus'.*\"Medial meniscus\" = 0"),
        ((("Femur", 1, 0), ("Femoral cartilage", 2, 1)), {}, r"values \[1\] of layer 1 belong to no segment"),
        ((("Femur", 1, 0), ("Femur cartilage", 1, 1)), {1: 3}, "calls tibia"),
        ((("Segment_1", 1, 0), ("Segment_2", 1, 1)), {}, "layers of segments without names"),
    ],
)
def test_segments_that_do_not_say_what_they_are_are_refused(
    segments: tuple[tuple[str, int, int], ...], declared: dict[int | str, int], said: str, tmp_path: Path
) -> None:
    path = slicer_file(tmp_path / "a.seg.nrrd", [FEMUR, CARTILAGE], *segments)
    with pytest.raises(SegmentationError, match=rf"a\.seg\.nrrd.*{said}"):
        label_map_of(read_itk(path), path.name, declared)


def test_a_declared_name_says_what_a_segment_is(tmp_path: Path) -> None:
    path = slicer_file(tmp_path / "a.seg.nrrd", [FEMUR, CARTILAGE], ("Femur", 1, 0), ("Knorpel", 1, 1))
    found = label_map_of(read_itk(path), path.name, {"knorpel": 2})
    assert (found.data[CARTILAGE > 0] == Label.FEMORAL_CARTILAGE).all()


def test_segments_that_overlap_are_refused_by_name(tmp_path: Path) -> None:
    path = slicer_file(tmp_path / "a.seg.nrrd", [FEMUR, FEMUR], ("Femur", 1, 0), ("Femoral cartilage", 1, 1))
    with pytest.raises(SegmentationError, match=r"overlap.*Femoral cartilage.*femur"):
        label_map_of(read_itk(path), path.name)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"space": "3D-right-handed"}, "left and right are unknown"),
        ({"space_units": '"km" "km" "km"'}, "lengths in km"),
        ({"space_units": '"m" "m" "m"'}, "unit: m"),
        ({"sizes": "2 30000 30000 30000"}, "The header is damaged"),
        ({"sizes": "2 400 400 400"}, "truncated"),
        ({"data_file": "a.raw"}, "another file"),
        ({"encoding": "raw"}, "truncated"),
    ],
)
def test_a_header_is_not_believed_without_reason(header: dict[str, str], said: str, tmp_path: Path) -> None:
    path = slicer_file(tmp_path / "a.nrrd", [FEMUR, CARTILAGE], **header)
    with pytest.raises(GeometryError, match=rf"a\.nrrd: .*{said}"):
        read_itk(path)


@pytest.mark.parametrize(("unit", "factor"), [("um", 1000.0), ("cm", 0.1), ("mm", 1.0)])
def test_the_units_of_both_formats_are_honoured(unit: str, factor: float, tmp_path: Path) -> None:
    lengths = " ".join(f"({','.join(str(v * factor) for v in row)})" for row in np.diag([0.5, 0.5, 1.0]))
    origin = f"({-10 * factor},{20 * factor},{3 * factor})"
    header = {"space_directions": f"none {lengths}", "space_origin": origin, "space_units": " ".join([f'"{unit}"'] * 3)}
    path = slicer_file(tmp_path / "a.nrrd", [FEMUR, CARTILAGE], **header)
    np.testing.assert_allclose(
        read_itk(path).grid.affine, np.diag([-0.5, -0.5, 1, 1]) + [[0, 0, 0, v] for v in (10, -20, 3, 0)]
    )
    image = to_sitk(FEMUR, Grid(shape=SHAPE, affine=np.diag([-factor, -factor, factor, 1.0])))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    text = (tmp_path / "a.mha").read_bytes().replace(b"NDims", f"DistanceUnits = {unit}\nNDims".encode(), 1)
    (tmp_path / "a.mha").write_bytes(text)
    np.testing.assert_allclose(read_itk(tmp_path / "a.mha").grid.spacing_mm, 1.0)


@given(st.binary(max_size=200))
def test_damaged_files_are_named_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.nrrd"
    path.write_bytes(b"NRRD0004\n" + noise)
    with pytest.raises(GeometryError, match=r"noise\.nrrd"):
        read_itk(path)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Femur", Label.FEMUR),
        ("right femur bone", Label.FEMUR),
        ("TibialCartilage", Label.TIBIAL_CARTILAGE),
        ("medial_tibial_cartilage", Label.TIBIAL_CARTILAGE),
        ("Cartilage of patella", Label.PATELLAR_CARTILAGE),
        ("Patellar tendon", None),
        ("Tibial", None),
        ("Femur lesion", None),
        ("Cartilage", None),
        ("Femur and tibia", None),
    ],
)
def test_names_of_structures(name: str, label: Label | None) -> None:
    assert structure_named(name) is label
