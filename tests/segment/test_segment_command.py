"""``mriseg segment`` on files."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import SegmentationError
from mriseg.nifti import read_label_map, read_volume, write_volume
from mriseg.types import Grid, LabelMap, Volume

runner = CliRunner()


CPU_AND_WALL = """
import resource, sys, time
start = time.perf_counter()
from mriseg.cli import main
try:
    main()
except SystemExit as done:
    code = done.code
usage = resource.getrusage(resource.RUSAGE_SELF)
print("share", usage.ru_utime / (time.perf_counter() - start))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def image(knee: tuple[Volume, LabelMap], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "knee_mri.nii.gz"
    write_volume(path, knee[0])
    return path


def test_a_knee_gives_a_label_map_on_its_grid_and_a_sidecar(image: Path) -> None:
    output = image.with_name("knee_dseg.nii.gz")
    done = runner.invoke(app, ["segment", str(image), str(output), "--side", "r", "--threads", "2"])
    assert done.exit_code == 0, done.output
    label_map = read_label_map(output)
    assert label_map.grid.same_as(read_volume(image).grid)
    sidecar = json.loads(image.with_name("knee_dseg.json").read_text())
    assert sidecar["inputs"]["knee_mri.nii.gz"]["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert sidecar["output_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert sidecar["verdict"] in done.output
    assert all(reason in done.output for reason in sidecar["reasons"])
    assert set(sidecar["confidence"]) >= {"femur", "patellar_cartilage"}
    assert len(sidecar["network"]["sha256"]) == 64


def test_an_empty_image_fails_with_its_name_and_writes_nothing(tmp_path: Path) -> None:
    source, output = tmp_path / "blank.nii.gz", tmp_path / "blank_dseg.nii.gz"
    write_volume(
        source, Volume(data=np.zeros((60, 60, 60), np.float32), grid=Grid(shape=(60, 60, 60), affine=np.eye(4)))
    )
    done = runner.invoke(app, ["segment", str(source), str(output), "--side", "L"])
    assert isinstance(done.exception, SegmentationError)
    assert "blank.nii.gz: The image is empty" in str(done.exception)
    assert not output.exists()


@pytest.mark.parametrize("side", ["right", "", "B"])
def test_an_unknown_side_is_wrong_use(image: Path, side: str) -> None:
    done = runner.invoke(app, ["segment", str(image), str(image.with_name("x_dseg.nii.gz")), "--side", side])
    assert done.exit_code == 2


def test_a_network_that_is_not_there_is_named(image: Path) -> None:
    arguments = ["segment", str(image), str(image.with_name("x_dseg.nii.gz")), "--side", "R", "--network", "ours.onnx"]
    done = runner.invoke(app, arguments)
    assert "ours.onnx" in str(done.exception)


def test_one_thread_takes_no_more_than_one_core(image: Path) -> None:
    output = image.with_name("single_dseg.nii.gz")
    arguments = [str(image), str(output), "--side", "R", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", CPU_AND_WALL, "segment", *arguments], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.split("share")[1]) < 1.3  # reading and writing overlap a little
