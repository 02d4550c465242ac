"""A network is used only when its file and its specification agree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mriseg.errors import SegmentationError
from mriseg.segment import NetworkSpec, load_network

MODEL = b"not a real graph, but bytes with a hash"
SPEC = {
    "name": "ours",
    "sha256": hashlib.sha256(MODEL).hexdigest(),
    "spacing_mm": [0.8, 0.8, 0.8],
    "window": [32, 48, 48],
    "labels": {"0": 0, "1": 2, "2": 4, "3": 4, "4": 6, "5": 1, "6": 3, "7": 5, "8": 0},
}


def written(folder: Path, **changes: object) -> Path:
    onnx = folder / "ours.onnx"
    onnx.write_bytes(MODEL)
    onnx.with_suffix(".json").write_text(json.dumps(SPEC | changes))
    return onnx


def test_a_site_network_is_read_with_its_own_labels(tmp_path: Path) -> None:
    network = load_network(written(tmp_path))
    assert network.model == MODEL
    assert network.spec.labels[3] == 4
    assert network.spec.spacing_mm == (0.8, 0.8, 0.8)


def test_a_changed_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    onnx = written(tmp_path)
    onnx.write_bytes(MODEL + b".")
    with pytest.raises(SegmentationError, match=rf"ours\.onnx: SHA-256 is [0-9a-f]{{64}}, expected {SPEC['sha256']}"):
        load_network(onnx)


def test_a_refiner_is_read_from_beside_the_network_and_checked(tmp_path: Path) -> None:
    onnx = written(tmp_path, refiner=hashlib.sha256(b"refines").hexdigest())
    refiner = tmp_path / "ours_refiner.onnx"
    with pytest.raises(SegmentationError, match=r"ours_refiner\.onnx: the network cannot be read"):
        load_network(onnx)
    refiner.write_bytes(b"refines")
    assert load_network(onnx).refiner == b"refines"
    assert load_network(onnx).sharpens
    refiner.write_bytes(b"changed")
    with pytest.raises(SegmentationError, match=r"ours_refiner\.onnx: SHA-256 is"):
        load_network(onnx)


def test_a_specification_given_in_the_call_wins(tmp_path: Path) -> None:
    onnx = written(tmp_path, sha256="0" * 64)
    spec = NetworkSpec(name="ours", sha256=str(SPEC["sha256"]).upper(), spacing_mm=(1, 1, 1), window=(16, 16, 16))
    assert load_network(onnx, spec=spec).spec is spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": [30, 48, 48]}, "multiples of 16"),
        ({"spacing_mm": [0.8, 0, 0.8]}, "positive spacings"),
        ({"labels": {"0": 0, "1": 1}}, "each of 1 to 6"),
        ({"labels": {"0": 0, "1": 9}}, "each of 1 to 6"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_specification_says_what_is_wrong(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SegmentationError, match=message):
        load_network(written(tmp_path, **changes))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SegmentationError, match=r"gone\.onnx"):
        load_network(tmp_path / "gone.onnx")
    onnx = written(tmp_path)
    onnx.with_suffix(".json").unlink()
    with pytest.raises(SegmentationError, match=r"ours\.json"):
        load_network(onnx)


def test_the_shipped_network_passes_its_own_check() -> None:
    network = load_network()
    assert network.refiner is not None
    assert len(network.model) + len(network.refiner) <= 16 * 2**20
    assert sorted(set(network.spec.labels.values())) == list(range(7))
