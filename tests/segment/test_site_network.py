"""A network of a site: described in study.toml or beside it, on its own grid, with its own labels and axes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from mriseg.errors import MrisegError, SegmentationError
from mriseg.nifti import write_volume
from mriseg.segment import Network, NetworkSpec, segment
from mriseg.segment.inference import predict
from mriseg.study import open_study
from mriseg.study.hashes import Hashes
from mriseg.study.networks import network_of, network_state
from mriseg.study.paths import sidecar_of
from mriseg.study.steps.segment import segment_visit
from mriseg.types import Grid, Side, Volume
from tests.segment.tiny_onnx import banded_network

MODEL = banded_network(8)
HASH = hashlib.sha256(MODEL).hexdigest()
# The site numbers its labels in its own way: 1 tibia, 2 femur, 3 patella, 4 to 6 their cartilages, 7 meniscus.
LABELS = {0: 0, 1: 3, 2: 1, 3: 5, 4: 4, 5: 2, 6: 6, 7: 0}
TOML = f"""
[study]
id = "site"
[[visits]]
id = "base"
day = 0
[segment]
onnx = "ours/net.onnx"
[segment.network]
sha256 = "{HASH}"
spacing_mm = [2.0, 1.0, 1.5]
window = [16, 32, 32]
normalise = "image"
labels = {{ 0 = 0, 1 = 3, 2 = 1, 3 = 5, 4 = 4, 5 = 2, 6 = 6, 7 = 0 }}
"""


def bands() -> Volume:
    """Eight slabs from front to back whose intensity, once normalised over the image, is nearest to 0, 1 ... 7."""
    data = np.zeros((40, 64, 48), np.float32)
    data[:, :32] = np.repeat(np.arange(8, dtype=np.float32), 4)[None, :, None]
    return Volume(data=data, grid=Grid(shape=data.shape, affine=np.diag([2.0, 1.0, 1.5, 1.0])))


def banded(axes: str) -> Network:
    """Specify the network of bands for an image that is already normalised: one of its values is one band."""
    order = ["RLAPSI".index(letter) // 2 for letter in axes]
    spacing, window = np.array([2.0, 1.0, 1.5])[order], np.array([16, 32, 32])[order]
    spec = NetworkSpec(
        name="bands",
        sha256=HASH,
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        window=(int(window[0]), int(window[1]), int(window[2])),
        labels=LABELS,
        axes=axes,
        normalise="image",
    )
    return Network(model=MODEL, spec=spec)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(TOML)
    (tmp_path / "participants.tsv").write_text("participant_id\tside\nsub-01\tL\n")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "net.onnx").write_bytes(MODEL)
    return tmp_path


@pytest.mark.parametrize("axes", ["RAS", "LIP", "SAR"])
def test_axes_of_the_network_change_nothing_where_it_sees_single_voxels(axes: str) -> None:
    image = bands()
    found = predict(image.data, banded(axes))
    assert found.shape == (7, *image.data.shape)
    assert np.array_equal(found.argmax(axis=0), predict(image.data, banded("RAS")).argmax(axis=0))


def test_channels_become_the_labels_that_the_site_names() -> None:
    image = bands()
    values = (image.data - image.data.mean()) / image.data.std()
    expected = np.array([LABELS[c] for c in range(8)])[np.clip(np.rint(values), 0, 7).astype(int)]
    assert np.array_equal(predict(image.data, banded("RAS")).argmax(axis=0), expected)


def test_a_study_segments_with_its_own_network_and_says_so(study: Path) -> None:
    opened = open_study(study)
    write_volume(opened.paths.image("sub-01", "base"), bands())
    assert network_of(opened).spec.spacing_ras_mm.tolist() == [2.0, 1.0, 1.5]
    direct = segment(bands(), side=Side.LEFT, network=network_of(opened))
    assert direct.label_map.data.any()
    segment_visit(opened.patients()[0], "base", threads=1)
    sidecar = json.loads(sidecar_of(opened.paths.labels("sub-01", "base")).read_text())
    assert sidecar["parameters"] == {
        "method": "network",
        "network": {"name": "network of this study", "sha256": HASH},
        "rules": [{"name": "anatomy", "parameters": {}}],
    }
    assert sidecar["assessment"]["verdict"] == "needs-review"


def test_a_json_file_beside_the_network_serves_as_well(study: Path) -> None:
    text = TOML[: TOML.index("[segment.network]")]
    (study / "study.toml").write_text(text)
    beside = {"name": "ours", "sha256": HASH, "spacing_mm": [1, 1, 1], "window": [16, 16, 16], "axes": "LIP"}
    with pytest.raises(SegmentationError, match=r"net\.json.*study\.toml"):
        network_of(open_study(study))
    (study / "ours" / "net.json").write_text(json.dumps(beside))
    assert network_of(open_study(study)).spec.axes == "LIP"


def test_another_file_under_the_same_name_is_refused_and_makes_the_label_maps_out_of_date(study: Path) -> None:
    opened = open_study(study)
    before = network_state(opened, Hashes())
    (study / "ours" / "net.onnx").write_bytes(banded_network(9))
    assert network_state(opened, Hashes()) != before
    with pytest.raises(SegmentationError, match=rf"net\.onnx: SHA-256 is .* expected {HASH}"):
        network_of(opened)


def test_a_network_that_is_not_there_or_has_no_file_is_named(study: Path) -> None:
    (study / "ours" / "net.onnx").unlink()
    with pytest.raises(MrisegError, match=r"ours/net\.onnx, and there is no such file"):
        network_state(open_study(study), Hashes())
    (study / "study.toml").write_text(TOML.replace('onnx = "ours/net.onnx"', ""))
    with pytest.raises(MrisegError, match=r"\[segment\.network\] describes a network"):
        open_study(study)


@pytest.mark.parametrize("axes", ["RA", "RRS", "XAS"])
def test_axes_that_are_none_are_refused(axes: str) -> None:
    with pytest.raises(SegmentationError, match="one each of R or L"):
        NetworkSpec(name="x", sha256=HASH, spacing_mm=(1, 1, 1), window=(16, 16, 16), axes=axes)
