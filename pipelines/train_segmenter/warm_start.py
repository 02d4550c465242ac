"""Make a checkpoint from a shipped ONNX file, to go on training from its weights.

    python warm_start.py segmenter.onnx RUN_DIR
    python warm_start.py segmenter_refiner.onnx REFINER_DIR --refiner

The optimiser starts anew, which costs a few hundred steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
import train
import train_refiner
from export import build, build_refiner
from loop import Run
from onnx import numpy_helper
from torch import nn

FIRST = 1000  # no constant of a graph itself is as large


def restore(model: nn.Module, build: Callable[[nn.Module], onnx.ModelProto], path: Path) -> None:
    """Put the constants of an exported graph back into the model that ``build`` exported them from."""
    probe = type(model)()
    for n, parameter in enumerate(probe.parameters()):
        parameter.data.fill_(float(FIRST + n))
    places = [float(numpy_helper.to_array(c).flat[0]) for c in build(probe).graph.initializer]
    values = [numpy_helper.to_array(c) for c in onnx.load(path).graph.initializer]
    own = list(model.parameters())
    for place, value in zip(places, values, strict=True):
        if place >= FIRST:
            parameter = own[int(place) - FIRST]
            parameter.data.copy_(torch.from_numpy(np.array(value)).reshape(parameter.shape))


def begin(path: Path, folder: Path, *, refines: bool) -> None:
    """Write the checkpoint of a run in ``folder`` that begins with the weights of an ONNX file."""
    folder.mkdir(parents=True, exist_ok=True)
    if refines:
        run = Run(folder, train_refiner.USUAL, train_refiner.task(path))
    else:
        run = Run(folder, train.USUAL, train.SEGMENTER)
    restore(run.model, build_refiner if refines else build, path)
    run.mean.load_state_dict(run.model.state_dict())
    run.save()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--refiner", action="store_true", help="the file is that of the network that refines")
    given = parser.parse_args()
    begin(given.onnx, given.run, refines=given.refiner)


if __name__ == "__main__":
    main()
