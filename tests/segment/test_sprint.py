"""The sprint on a GPU, rehearsed on the CPU with tiny sizes: from label maps to both exported networks."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mriseg.nifti import write_label_map
from mriseg.segment import load_network
from mriseg.segment.network import SHIPPED
from mriseg.splits import load_splits
from mriseg.types import Grid, LabelMap

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("onnx", reason="training needs the extra `train`")

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "train_segmenter"
BALLS = {"femur": ((22, 22, 32), 10), "tibia": ((22, 22, 9), 8), "patella": ((22, 39, 32), 5)}  # centre and radius, mm
ANATOMY = {"femur": 95, "tibia": 96, "patella": 98}
SPACING_MM = np.array([0.7, 0.4, 0.4])


def knee(shape: tuple[int, int, int]) -> np.ndarray:
    """Label map of three balls, each under 2 mm of cartilage."""
    at = np.indices(shape).transpose(1, 2, 3, 0) * SPACING_MM
    labels = np.zeros(shape, np.uint8)
    for n, (centre, radius) in enumerate(BALLS.values()):
        far = np.linalg.norm(at - np.array(centre), axis=-1) - radius
        labels[(far < 2) & (labels == 0)] = 2 * n + 2
        labels[far < 0] = 2 * n + 1
    return labels


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    """Folder with one knee to train on and one to validate by, and an anatomy map with muscle about the same bones."""
    labels, own = knee((64, 112, 112)), load_splits()
    grid = Grid(shape=labels.shape, affine=np.diag([*SPACING_MM, 1.0]))
    for participant in (min(own.training), min(own.validation), min(own.test)):
        write_label_map(tmp_path / f"{participant}_ses-00m_side-R_dseg.nii.gz", LabelMap(data=labels, grid=grid))
    tissue = np.full(labels.shape, 12, np.uint8)
    for n, name in enumerate(BALLS):
        tissue[labels == 2 * n + 1] = ANATOMY[name]
    tissue[55:60, 10:20, 5:30] = 97  # a fibula says which side is lateral
    image = sitk.GetImageFromArray(tissue.T)
    image.SetSpacing(SPACING_MM.tolist())
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / "anatomy.nrrd"))
    return tmp_path, tmp_path / "anatomy.nrrd"


def rows(archive: Path, name: str) -> list[dict[str, str]]:
    with tarfile.open(archive) as packed:
        file = packed.extractfile(name)
        assert file is not None
        return list(csv.DictReader(io.TextIOWrapper(file)))


def test_a_sprint_makes_the_cache_trains_validates_and_exports_and_goes_on_from_its_work(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    tiny = "--size 32 16 16 --fine-size 16 16 16 --field 32 64 64 --batch 2 --fine-batch 1 --workers 1 --share 0.3"
    command = ["bash", str(RECIPE / "sprint.sh"), "0.02", *map(str, sources), str(work), str(out), *tiny.split()]
    environment = os.environ | {"PYTHON": sys.executable}
    steps = []
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    steps.append(int(done.stdout.split("refiner at step ")[1].split(";")[0]))
    assert sorted(p.name for p in out.iterdir()) == [
        "runs.tar.gz",
        "segmenter.json",
        "segmenter.onnx",
        "segmenter_refiner.onnx",
    ]
    assert {p.name.split("_")[0] for p in (work / "cache").glob("*.npy")} == {
        min(load_splits().training),
        min(load_splits().validation),
    }
    trained = load_network(out / "segmenter.onnx")
    assert trained.refiner is not None
    assert trained.identity != load_network(SHIPPED).identity
    for run in ("segmenter", "refiner"):
        assert len(rows(out / "runs.tar.gz", f"{run}/validation.csv")) >= 1
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(again.stdout.split("refiner at step ")[1].split(";")[0]) > steps[0] >= 1
