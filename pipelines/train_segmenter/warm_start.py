"""Make a checkpoint from a shipped ONNX file, to go on training from its weights.

python warm_start.py segmenter.onnx RUN_DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from export import build
from loop import Run
from network import KneeNet
from onnx import numpy_helper
from train import SEGMENTER, USUAL


def restore(model: KneeNet, path: Path) -> None:
    """Put the constants of an exported graph back into the model that they were exported from."""
    probe = KneeNet()
    for n, parameter in enumerate(probe.parameters()):
        parameter.data.fill_(float(n + 1))
    places = [float(numpy_helper.to_array(c).flat[0]) for c in build(probe).graph.initializer]
    values = [numpy_helper.to_array(c) for c in onnx.load(path).graph.initializer]
    own = list(model.parameters())
    for place, value in zip(places, values, strict=True):
        # Constants of the graph itself (folding, scale) start with 0 or 1 and hold several values.
        n = int(place) - 1
        if 0 <= n < len(own) and own[n].numel() == value.size:
            own[n].data.copy_(torch.from_numpy(np.array(value)).reshape(own[n].shape))


def main() -> None:
    """Write RUN_DIR/checkpoint.pt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    run = Run(arguments.run, USUAL, SEGMENTER)
    restore(run.model, arguments.onnx)
    run.mean.load_state_dict(run.model.state_dict())
    run.save()


if __name__ == "__main__":
    main()
