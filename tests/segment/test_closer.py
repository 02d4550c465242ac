"""The second look is taken about cartilage only, and says where."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mriseg.segment import Network
from mriseg.segment.closer import look_closer
from mriseg.segment.labelling import label_voxels
from mriseg.segment.resample import apply_axes, there_and_back
from mriseg.types import Label, LabelMap, Volume


def coarse(truth: LabelMap, network: Network) -> np.ndarray:
    """True fractions on the grid of the first look."""
    grid = truth.grid
    there, _ = there_and_back(grid.shape, grid.spacing_mm, network.spec.spacing_ras_mm)
    return np.stack([apply_axes((truth.data == n).astype(np.float32), there) for n in range(7)])


@pytest.mark.parametrize("refines", [True, False])
def test_cartilage_lies_in_the_box_and_is_drawn_there(
    network: Network, knee: tuple[Volume, LabelMap], refines: bool
) -> None:
    image, truth = knee
    chosen = (
        network
        if refines
        else dataclasses.replace(
            network, refiner=None, spec=dataclasses.replace(network.spec, refiner="", sharpen=True)
        )
    )
    closer = look_closer(image, coarse(truth, network), chosen, threads=2)
    assert closer is not None
    inside = truth.data[closer.where]
    cartilage = [Label.FEMORAL_CARTILAGE, Label.TIBIAL_CARTILAGE, Label.PATELLAR_CARTILAGE]
    assert np.isin(inside, cartilage).sum() > 0.999 * truth.mask(*cartilage).sum()
    assert inside.size < truth.data.size
    drawn = label_voxels(closer.fractions, closer.back)
    assert drawn.shape == inside.shape
    femur = (drawn == Label.FEMUR), (inside == Label.FEMUR)
    assert 2 * (femur[0] & femur[1]).sum() / (femur[0].sum() + femur[1].sum()) > 0.9


def test_without_cartilage_there_is_nothing_to_look_at(network: Network, knee: tuple[Volume, LabelMap]) -> None:
    image, truth = knee
    nothing = np.zeros_like(coarse(truth, network))
    nothing[0] = 1
    assert look_closer(image, nothing, network) is None
