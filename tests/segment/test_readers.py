"""A reader's mask is used only where it lies on its image."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mriseg.errors import SegmentationError
from mriseg.geometry import crop
from mriseg.segment.readers import adopt_mask
from mriseg.types import Grid, Label, LabelMap

AFFINE = np.array([[0.7, 0, 0, -50], [0, 0.36, 0.02, 10], [0, -0.02, 0.36, 3], [0, 0, 0, 1.0]])
GRID = Grid(shape=(12, 14, 16), affine=AFFINE)


def mask(*labels: int, grid: Grid = GRID) -> LabelMap:
    data = np.zeros(grid.shape, np.uint8)
    for n, label in enumerate(labels):
        data[n + 2, 3:9, 4:8] = label
    return LabelMap(data=data, grid=grid)


def moved(shift_mm: float) -> Grid:
    affine = AFFINE.copy()
    affine[1, 3] += shift_mm
    return Grid(shape=GRID.shape, affine=affine)


def test_a_mask_on_its_image_is_taken_voxel_for_voxel_on_the_grid_of_the_image() -> None:
    drawn = mask(Label.FEMUR, Label.FEMORAL_CARTILAGE, grid=moved(5e-4))
    adopted = adopt_mask(drawn, GRID)
    assert np.array_equal(adopted.data, drawn.data)
    assert adopted.grid is GRID


def test_a_mask_beside_its_image_is_refused_with_the_distance() -> None:
    with pytest.raises(SegmentationError, match=r"sub-01_dseg\.nii\.gz: the mask lies up to 0\.5 mm beside"):
        adopt_mask(mask(Label.FEMUR, Label.FEMORAL_CARTILAGE, grid=moved(0.5)), GRID, name="sub-01_dseg.nii.gz")


def test_a_mirrored_affine_is_refused_though_the_shape_fits() -> None:
    mirrored = Grid(shape=GRID.shape, affine=np.diag([-1.0, 1, 1, 1]) @ AFFINE)
    with pytest.raises(SegmentationError, match="beside its image"):
        adopt_mask(mask(Label.FEMORAL_CARTILAGE, grid=mirrored), GRID)


def test_a_part_of_the_image_is_padded_with_background() -> None:
    whole = mask(Label.FEMUR, Label.FEMORAL_CARTILAGE)
    part = crop(whole, np.array([1, 2, 3]), np.array([6, 12, 15]))
    assert np.array_equal(adopt_mask(part, GRID).data, whole.data)


def test_background_beyond_the_image_is_cut_off_and_labels_there_are_refused() -> None:
    whole = mask(Label.FEMUR, Label.FEMORAL_CARTILAGE)
    inner = crop(whole, np.array([1, 2, 3]), np.array([6, 12, 15]))
    assert adopt_mask(whole, inner.grid).data.sum() == whole.data.sum()
    with pytest.raises(SegmentationError, match="16 of its 48 labelled voxels lie beyond"):
        adopt_mask(whole, crop(whole, np.array([0, 5, 0]), np.array(GRID.shape)).grid)


@given(axes=st.permutations(range(3)), flips=st.tuples(*[st.booleans()] * 3))
def test_axes_in_any_order_and_direction_are_turned_onto_the_image(axes: list[int], flips: tuple[bool, ...]) -> None:
    drawn = mask(*Label)
    turn = np.array([[axis, -1 if flip else 1] for axis, flip in zip(axes, flips, strict=True)])
    turned = nib.Nifti1Image(drawn.data, AFFINE).as_reoriented(turn)
    data = np.asarray(turned.dataobj)
    native = LabelMap(data=data, grid=Grid(shape=data.shape, affine=turned.affine))
    assert np.array_equal(adopt_mask(native, GRID).data, drawn.data)


def test_another_voxel_size_is_refused_with_both_shapes_and_sizes() -> None:
    other = Grid(shape=(12, 14, 15), affine=AFFINE @ np.diag([1, 1, 2, 1.0]))
    with pytest.raises(SegmentationError, match=r"\(12, 14, 15\), its image \(12, 14, 16\).*0\.7211 mm"):
        adopt_mask(mask(Label.FEMORAL_CARTILAGE, grid=other), GRID)


def test_an_empty_mask_is_an_error_and_not_a_knee_without_cartilage() -> None:
    with pytest.raises(SegmentationError, match="empty"):
        adopt_mask(mask(), GRID)


def test_a_mask_of_bones_alone_is_an_error() -> None:
    with pytest.raises(SegmentationError, match=r"labels \[1, 3\] and no cartilage"):
        adopt_mask(mask(Label.FEMUR, Label.TIBIA), GRID)
