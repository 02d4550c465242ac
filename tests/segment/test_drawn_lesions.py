"""Lesions that training draws: areas, walls, fillings, and what they leave alone. Needs the extra ``train``."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "train_segmenter"
VOXEL_MM, LAYER_MM, GAP_MM = 0.5, 2.5, 1.0
FEMUR, TIBIA = 0, 2


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    sys.path.insert(0, str(RECIPE))
    import chance
    import contrast
    import lesion_shapes
    import lesions

    sys.path.remove(str(RECIPE))
    torch.set_num_threads(1)
    return SimpleNamespace(chance=chance, contrast=contrast, lesions=lesions, shapes=lesion_shapes)


@pytest.fixture(scope="module")
def flat() -> Any:
    """A femur above a tibia, both flat, each under 2.5 mm of cartilage, 1 mm apart; no patella."""
    k = (torch.arange(64) * VOXEL_MM - 16.0).expand(96, 96, 64)
    femur, tibia = GAP_MM / 2 + LAYER_MM - k, k + GAP_MM / 2 + LAYER_MM
    far = torch.full_like(femur, 6.0)
    return torch.stack([femur, femur - LAYER_MM, tibia, tibia - LAYER_MM, far, far])


def planted(recipe: SimpleNamespace, knee: Any, seed: int, **law: Any) -> Any:
    chance = recipe.chance.Chance(np.random.default_rng(seed))
    return recipe.lesions.plant(knee, chance, voxel_mm=VOXEL_MM, law=recipe.lesions.Law(share=1.0, most=1, **law))


def bare_mm2(distances: Any, bone: int) -> float:
    """Area of a flat bone without cartilage just over it, away from the sides of the image."""
    inner, outer = distances[bone], distances[bone + 1]
    floor = (inner > 0) & (inner <= VOXEL_MM)
    return float((floor & (outer > -0.01)).sum()) * VOXEL_MM**2


@pytest.mark.parametrize("area", [30.0, 100.0, 200.0])
def test_a_crater_denudes_its_area_and_leaves_the_bone(recipe: SimpleNamespace, flat: Any, area: float) -> None:
    found = []
    for seed in range(12):
        lesions = planted(recipe, flat, seed, kinds={"crater": 1.0}, area_mm2=(area, area), osteophyte=0.0)
        assert torch.equal(lesions.distances[::2], flat[::2])
        assert (lesions.distances >= flat - 1e-6).all()
        found.append(bare_mm2(lesions.distances, FEMUR) + bare_mm2(lesions.distances, TIBIA))
    assert np.median(found) == pytest.approx(area, rel=0.15)  # some lie partly outside of the image


def test_a_partial_lesion_keeps_its_share_of_the_layer(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 3, kinds={"partial": 1.0}, area_mm2=(100.0, 100.0), kept=(0.4, 0.4), steep=1.0)
    layers = [(lesions.distances[b] - lesions.distances[b + 1])[lesions.distances[b].abs() < 0.3] for b in (0, 2)]
    assert min(float(layer.min()) for layer in layers) == pytest.approx(0.4 * LAYER_MM, abs=0.02)


def test_walls_lean_as_asked(recipe: SimpleNamespace) -> None:
    outline = torch.linspace(-3, 9, 400)[:, None]
    inner = torch.linspace(0.01, 2.49, 60)[None]
    outer = inner - LAYER_MM
    for slope in (30.0, 60.0, 90.0):
        left = recipe.shapes.cut(inner.expand(400, 60), outer.expand(400, 60), outline, slope_deg=slope)
        height = (left < 0).float().mean(1) * LAYER_MM
        assert float(height[outline[:, 0] < -0.1].max()) == 0
        at_one = float(height[(outline[:, 0] - 1).abs().argmin()])
        assert at_one == pytest.approx(min(np.tan(np.radians(slope)), LAYER_MM), abs=0.06)


@pytest.mark.parametrize("filling", ["fluid", "synovium", "fat"])
def test_all_that_was_lost_is_filled_and_nothing_else(recipe: SimpleNamespace, flat: Any, filling: str) -> None:
    lesions = planted(recipe, flat, 1, kinds={"crater": 1.0}, fillings={filling: 1.0}, osteophyte=0.0)
    lost = ((flat[1::2] < 0) & (lesions.distances[1::2] > 0)).any(dim=0)
    assert lost.any()
    assert torch.equal(lesions.filling >= 0, lost)
    assert set(lesions.filling[lost].tolist()) == {recipe.contrast.TISSUES.index(filling)}


def test_the_opposing_cartilage_closes_a_lesion_that_stays_bare(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 2, kinds={"closed": 1.0}, area_mm2=(120.0, 120.0))
    bare = {bone: bare_mm2(lesions.distances, bone) for bone in (FEMUR, TIBIA)}
    own = max(bare, key=lambda b: bare[b])
    other = TIBIA if own == FEMUR else FEMUR
    assert bare[own] > 60
    assert bare[other] == 0
    plug = (lesions.distances[other + 1] < 0) & (flat[own + 1] < 0)
    assert float(plug.sum()) * VOXEL_MM**3 > 60
    assert not (plug & (lesions.distances[own + 1] < 0)).any()


def test_kissing_lesions_lie_on_both_bones(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 5, kinds={"kissing": 1.0}, area_mm2=(100.0, 100.0))
    assert min(bare_mm2(lesions.distances, bone) for bone in (FEMUR, TIBIA)) > 20


def test_bone_grows_only_into_a_lesion(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 4, kinds={"crater": 1.0}, area_mm2=(150.0, 150.0), osteophyte=1.0)
    grown = (lesions.distances[::2] < 0) & (flat[::2] >= 0)
    assert grown.any()
    assert not (grown & (lesions.distances[1::2] > 0)).any()
    assert not (grown.any(dim=0) & ~((flat[1::2] < 0).any(dim=0))).any()


def test_repair_changes_the_signal_and_no_shape(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 6, kinds={"repair": 1.0})
    assert torch.equal(lesions.distances, flat)
    assert (lesions.repair != 1).any()


def test_what_decides_denuded_area_counts_most_and_sound_layers_do_not(recipe: SimpleNamespace, flat: Any) -> None:
    lesions = planted(recipe, flat, 7, kinds={"crater": 1.0}, osteophyte=0.0)
    counts = recipe.lesions.attention(flat, lesions.distances)
    lost = ((flat[1::2] < 0) & (lesions.distances[1::2] > 0.3)).any(dim=0)
    assert (counts[lost] == 1).all()
    assert not recipe.lesions.attention(flat, flat).any()


def test_a_knee_without_cartilage_stays_as_it_is_and_seeds_repeat(recipe: SimpleNamespace, flat: Any) -> None:
    bare = flat.clone()
    bare[1::2] = bare[::2]
    assert torch.equal(planted(recipe, bare, 0).distances, bare)
    one, two = (planted(recipe, flat, 8) for _ in range(2))
    assert torch.equal(one.distances, two.distances)
