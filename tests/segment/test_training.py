"""The recipe of the network: what it draws, what it exports, how it resumes. Needs the extra ``train``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest

from mriseg.segment import Network, load_network
from mriseg.segment.network import SHIPPED
from mriseg.splits import load_splits

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("onnx", reason="training needs the extra `train`")

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "train_segmenter"
SIZE = (32, 48, 32)
KNEE = f"{min(load_splits().training)}_ses-00m_side-R"  # the recipe learns from training knees only


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    sys.path.insert(0, str(RECIPE))
    import anatomy_map
    import chance
    import export
    import feed
    import generator
    import loop
    import network
    import prepare
    import refiner
    import scanner
    import task
    import train
    import train_refiner
    import warm_start

    sys.path.remove(str(RECIPE))
    torch.set_num_threads(1)  # two threads wait for each other where other work shares the cores
    modules = (anatomy_map, chance, export, feed, generator, loop, network, prepare, refiner, scanner, task, train)
    modules += (train_refiner, warm_start)
    return SimpleNamespace(**{module.__name__: module for module in modules})


@pytest.fixture(scope="module")
def cache(recipe: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared knee made of balls: femur above tibia, patella in front, each under 2 mm of cartilage."""
    folder = tmp_path_factory.mktemp("cache")
    i, j, k = np.meshgrid(*[np.arange(64) * 0.8] * 3, indexing="ij")
    channels = []
    for centre, radius in (((25, 25, 38), 12), ((25, 25, 12), 12), ((25, 43, 38), 5)):
        distance = np.sqrt((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (k - centre[2]) ** 2) - radius
        channels += [distance, np.where(np.abs(k - 25) < 12, distance - 2, distance)]
    coded = [np.clip(np.rint(c / recipe.prepare.SDF_UNIT_MM), -127, 127) for c in channels]
    tissue = np.where(j > 30, recipe.anatomy_map.Tissue.FAT_PAD, recipe.anatomy_map.Tissue.MUSCLE)
    hull = np.clip((np.hypot(i - 25, j - 25) - 24) / recipe.prepare.HULL_UNIT_MM, -127, 127)
    np.save(folder / f"{KNEE}.npy", np.stack([*coded, tissue, hull]).astype(np.int8))
    affine = np.diag([0.8, 0.8, 0.8, 1.0]).tolist()
    (folder / f"{KNEE}.json").write_text(json.dumps({"affine": affine, "shape": [64, 64, 64]}))
    return folder


def chance_of(recipe: SimpleNamespace, seed: int) -> SimpleNamespace:
    return recipe.chance.Chance(np.random.default_rng(seed))


def test_a_drawn_pair_has_fractions_that_sum_to_one_and_a_standardised_image(
    recipe: SimpleNamespace, cache: Path
) -> None:
    knee = recipe.generator.load_knee(cache / f"{KNEE}.npy")
    pairs = recipe.generator.draw(knee, SIZE, chance_of(recipe, 0), voxel_mm=1.2)
    assert len(pairs) == 3
    for image, target in pairs:
        assert image.shape == (1, *SIZE)
        assert target.shape == (8, *SIZE)
        assert torch.isfinite(image).all()
        assert abs(float(image.mean())) < 1e-3
        assert float((target[:7].sum(0) - 1).abs().max()) < 1e-5
        assert float(target.min()) > -1e-6


def test_the_same_seed_draws_the_same_knee(recipe: SimpleNamespace, cache: Path) -> None:
    knee = recipe.generator.load_knee(cache / f"{KNEE}.npy")
    one, two = (recipe.generator.draw(knee, SIZE, chance_of(recipe, 7), voxel_mm=1.2)[0] for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])


def test_wear_thins_and_thickens_the_layer_and_grows_none_on_bare_bone(recipe: SimpleNamespace) -> None:
    bone = torch.linspace(-6, 6, 40)[None, None].expand(40, 40, 40).contiguous()
    chance = chance_of(recipe, 3)
    worn = [recipe.generator.wear(bone, bone - 2, chance, voxel_mm=1.2) for _ in range(20)]
    assert all((u <= b + 1e-6).all() for b, u in worn)
    layers = [float((b - u)[..., 20].mean()) for b, u in worn]
    assert min(layers) < 1.9
    assert max(layers) > 2.1


def test_thick_slices_keep_the_mean_and_lose_the_detail(recipe: SimpleNamespace) -> None:
    line = torch.zeros(60)
    line[::2] = 1
    forward, back = recipe.scanner.slice_matrices(60, 4.0, 3.5, 0.3, voxel_mm=1.2)
    seen = back @ (forward @ line)
    assert seen[5:-5].mean() == pytest.approx(0.5, abs=0.05)
    assert seen[5:-5].std() < 0.1


def test_the_exported_network_equals_the_trained_one(recipe: SimpleNamespace) -> None:
    torch.manual_seed(0)
    model = recipe.network.KneeNet().eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.02)
    session = ort.InferenceSession(recipe.export.build(model).SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (SIZE, (48, 32, 64)):
        image = torch.randn(1, 1, *size)
        with torch.no_grad():
            expected = model(image).numpy()
        assert np.abs(session.run(None, {"image": image.numpy()})[0] - expected).max() < 1e-3


def test_the_quick_gradient_is_the_true_gradient(recipe: SimpleNamespace) -> None:
    torch.manual_seed(1)
    layer = recipe.network.Conv(3, 5)
    image = torch.randn(2, 3, 6, 7, 8)
    gradients = []
    for training in (True, False):
        layer.train(training)
        x = image.clone().requires_grad_(True)
        layer.zero_grad()
        (layer(x) ** 3).sum().backward()
        gradients.append((x.grad, layer.weight.grad.clone()))
    for quick, true in zip(*gradients, strict=True):
        assert torch.allclose(quick, true, rtol=1e-3, atol=1e-3)


def test_training_resumes_where_it_was_put_down(recipe: SimpleNamespace, cache: Path, tmp_path: Path) -> None:
    config, task = replace(recipe.train.USUAL, size=(32, 16, 16)), recipe.train.SEGMENTER
    knee = recipe.generator.load_knee(cache / f"{KNEE}.npy")
    pairs = recipe.generator.draw(knee, config.size, chance_of(recipe, 0), voxel_mm=1.2)
    whole, first = (recipe.loop.Run(tmp_path / name, config, task) for name in ("whole", "parts"))
    first.folder.mkdir()
    losses = [whole.learn((i[None], t[None]), 0.1) for i, t in pairs]
    for image, target in pairs[:1]:
        first.learn((image[None], target[None]), 0.1)
    first.save()
    second = recipe.loop.Run(tmp_path / "parts", config, task)
    assert second.step == 1
    again = [second.learn((i[None], t[None]), 0.1) for i, t in pairs[1:]]
    assert again == pytest.approx(losses[1:], rel=1e-3)


def test_a_batch_on_finer_voxels_is_drawn_beside_the_training_and_ends_with_it(
    recipe: SimpleNamespace, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RECIPE))  # where the new process finds the recipe
    config = recipe.task.Config(size=(16, 16, 16), voxel_mm=0.8, batch=3)
    feed = recipe.feed.ProcessFeed(cache, config, recipe.train.SEGMENTER, seed=0, device="cpu", workers=1)
    try:
        image, target = feed.batch()
    finally:
        feed.close()
    assert image.shape == (3, 1, 16, 16, 16)
    assert float((target[:, :7].sum(1) - 1).abs().max()) < 1e-5
    assert not any(worker.is_alive() for worker in feed.workers)


def test_a_batch_is_drawn_where_it_is_learnt_from_and_shown_again(recipe: SimpleNamespace, cache: Path) -> None:
    config = recipe.task.Config(size=(16, 16, 16), voxel_mm=1.2, batch=3)
    feed = recipe.feed.DeviceFeed(cache, config, recipe.train.SEGMENTER, seed=0, device="cpu")
    sizes = [len(feed.batch()[0]) for _ in range(3)]
    assert sizes == [2, 3, 3]  # two new crops each time, and one of those before
    assert feed.new == 6
    with pytest.raises(ValueError, match="cannot be drawn on a device"):
        recipe.feed.DeviceFeed(cache, config, recipe.train_refiner.task(Path()), seed=0, device="cpu")


def test_a_voxel_that_decides_denuded_area_counts_more(recipe: SimpleNamespace) -> None:
    logits, target = torch.zeros(1, 7, 4, 4, 4), torch.zeros(1, 8, 4, 4, 4)
    logits[:, 2] = 3.0  # cartilage everywhere
    target[:, 0] = 1.0
    target[:, 2, :2], target[:, 0, :2] = 1.0, 0.0  # which is right in half of the crop
    even = recipe.train.loss_of(logits, target)
    target[:, 7, 2:] = 1.0
    assert recipe.train.loss_of(logits, target) > 1.3 * even
    target[:, 7] = 1.0
    assert float(recipe.train.loss_of(logits, target)) == pytest.approx(float(even))


def test_lost_cartilage_that_is_filled_is_scored(recipe: SimpleNamespace) -> None:
    target, logits = torch.zeros(1, 8, 8, 8, 8), torch.zeros(1, 7, 8, 8, 8)
    target[:, 0], target[:, 7, :4] = 1.0, 1.0  # half of the crop was cartilage and is none
    logits[:, 0], logits[:, 4, :1] = 1.0, 2.0  # an eighth of it is still called so
    assert recipe.loop.scores_of(logits, target)[-1] == pytest.approx(0.75)


def test_a_network_is_exported_for_the_voxels_it_was_trained_on(recipe: SimpleNamespace, tmp_path: Path) -> None:
    run = recipe.loop.Run(tmp_path, replace(recipe.train.USUAL, voxel_mm=0.8), recipe.train.SEGMENTER)
    run.save()
    spec = json.loads(recipe.export.export(run.path, tmp_path, "ours").with_suffix(".json").read_text())
    assert spec["spacing_mm"] == [0.8, 0.8, 0.8]
    assert "refiner" not in spec


def refiner_of(recipe: SimpleNamespace, folder: Path) -> tuple[torch.nn.Module, Network]:
    """A refiner with random weights, and it exported beside a segmenter with random weights."""
    torch.manual_seed(2)
    refining = recipe.loop.Run(folder / "refiner", recipe.train_refiner.USUAL, recipe.train_refiner.task(Path()))
    for parameter in refining.mean.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    first = recipe.loop.Run(folder / "first", recipe.train.USUAL, recipe.train.SEGMENTER)
    for run in (refining, first):
        run.folder.mkdir()
        run.save()
    return refining.mean, load_network(recipe.export.export(first.path, folder, "ours", refining.path))


def test_the_exported_refiner_equals_the_trained_one(recipe: SimpleNamespace, tmp_path: Path) -> None:
    model, network = refiner_of(recipe, tmp_path)
    session = ort.InferenceSession(network.refiner, providers=["CPUExecutionProvider"])
    for size in ((24, 32, 40), (16, 8, 24)):
        shown = {"image": torch.randn(1, 1, *size), "evidence": torch.rand(1, 7, *size)}
        shown["fractions"] = torch.rand(1, 7, *(n // 2 for n in size))
        with torch.no_grad():
            expected = model(*shown.values()).numpy()
        found = session.run(None, {name: values.numpy() for name, values in shown.items()})[0]
        assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("file", ["segmenter.onnx", "segmenter_refiner.onnx"])
def test_training_goes_on_from_the_shipped_weights(recipe: SimpleNamespace, file: str, tmp_path: Path) -> None:
    refines = "refiner" in file
    build = recipe.export.build_refiner if refines else recipe.export.build
    model = recipe.refiner.Refiner() if refines else recipe.network.KneeNet()
    shipped = SHIPPED.with_name(file)
    recipe.warm_start.restore(model, build, shipped)
    recipe.export.write(build(model), tmp_path / file)
    assert (tmp_path / file).read_bytes() == shipped.read_bytes()


def test_the_refiner_learns_from_what_the_segmenter_finds(
    recipe: SimpleNamespace, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner_of(recipe, tmp_path)
    monkeypatch.setattr(recipe.train_refiner, "CROPS", 2)
    config = replace(recipe.train_refiner.USUAL, size=(16, 32, 16), field=(64, 96, 64))
    segmenter = recipe.train_refiner.Segmenter(tmp_path / "segmenter.onnx")
    knee = recipe.generator.load_knee(cache / f"{KNEE}.npy")
    chance = chance_of(recipe, 0)
    drawn = [recipe.train_refiner.unpack(c, "cpu") for c in recipe.train_refiner.crops(knee, segmenter, config, chance)]
    for image, evidence, fractions, target in drawn:
        assert image.shape == (1, 16, 32, 16)
        assert evidence.shape == (7, 16, 32, 16)
        assert target.shape == (8, 16, 32, 16)
        assert fractions.shape == (7, 8, 16, 8)
        for shares in (evidence, fractions, target[:7]):
            assert float((shares.sum(0) - 1).abs().max()) < 0.02
    run = recipe.loop.Run(tmp_path / "new", config, recipe.train_refiner.task(tmp_path / "segmenter.onnx"))
    batch = tuple(tensor[None] for tensor in recipe.train_refiner.again(drawn[0], chance.rng))
    losses = [run.learn(batch, 0.1) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]
