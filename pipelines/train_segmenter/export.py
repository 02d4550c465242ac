"""Write the averaged weights of two checkpoints as the ONNX files that mriseg ships, and their specification.

python export.py SEGMENTER.pt ASSETS_DIR [--name NAME] [--refiner REFINER.pt]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from graph import Graph
from network import BLOCKS_UP, CLASSES, WIDTHS, KneeNet
from refiner import LEAST, REFINER_WIDTHS, Refiner
from torch import nn

WINDOW = (64, 96, 96)


def build(model: KneeNet) -> onnx.ModelProto:
    """Return the ONNX model that computes the same as ``model``."""
    graph = Graph(model.state_dict())
    levels = [graph.residual(graph.conv(graph.fold("image", 1), "stem.0"), "stem.1", 1)]
    for n in range(len(WIDTHS) - 1):
        x = graph.conv(graph.halved(levels[-1]), f"down.{n}.1")
        levels.append(graph.residual(x, f"down.{n}.2", 1))
    x, scales = graph.residual(levels.pop(), "bottom", 2), graph.twice()
    for n in reversed(range(len(WIDTHS) - 1)):
        x = graph.doubled(graph.mix(x, f"reduce.{n}"), scales)
        x = graph.residual(graph.add("Add", [levels.pop(), x]), f"up.{n}", BLOCKS_UP)
    graph.unfold(graph.mix(x, "head"), "logits")
    image = graph.value("image", (1, 1, "i", "j", "k"))
    return graph.model("knee", [image], graph.value("logits", (1, CLASSES, "i", "j", "k")))


def build_refiner(model: Refiner) -> onnx.ModelProto:
    """Return the ONNX model that computes the same as ``model``."""
    graph = Graph(model.state_dict())
    folded = [graph.fold("image", 1), graph.fold("evidence", CLASSES), "fractions"]
    x = graph.mix(graph.add("Concat", folded, axis=1), "mix")
    levels = [graph.gated(graph.plain(x, "stem.0"), "stem.1")]
    for n in range(len(REFINER_WIDTHS) - 1):
        levels.append(graph.gated(graph.plain(graph.halved(levels[-1]), f"down.{n}.1"), f"down.{n}.2"))
    x, scales = levels.pop(), graph.twice()
    for n in reversed(range(len(REFINER_WIDTHS) - 1)):
        x = graph.doubled(graph.mix(x, f"reduce.{n}"), scales)
        x = graph.gated(graph.add("Add", [levels.pop(), x]), f"up.{n}")
    known = graph.add("Log", [graph.add("Add", ["evidence", graph.constant(np.array(LEAST, np.float32))])])
    trusted = graph.add("Mul", [known, graph.weight("trust", (1, CLASSES, 1, 1, 1))])
    graph.add("Add", [graph.unfold(graph.mix(x, "head")), trusted], "logits")
    fine, coarse = ("i", "j", "k"), ("i2", "j2", "k2")
    inputs = [graph.value("image", (1, 1, *fine)), graph.value("evidence", (1, CLASSES, *fine))]
    inputs.append(graph.value("fractions", (1, CLASSES, *coarse)))
    return graph.model("refiner", inputs, graph.value("logits", (1, CLASSES, *fine)))


def restored(model: nn.Module, checkpoint: Path) -> tuple[nn.Module, float | None]:
    """``model`` with the averaged weights of a checkpoint, ready for use, and the voxels it was trained on."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["mean"])
    return model.eval(), state.get("voxel_mm")


def write(built: onnx.ModelProto, path: Path) -> str:
    """Write a model and return its SHA-256."""
    path.write_bytes(built.SerializeToString())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export(checkpoint: Path, folder: Path, name: str, refiner: Path | None = None) -> Path:
    """Write ``segmenter.onnx``, ``segmenter.json`` and, if there is one, ``segmenter_refiner.onnx``."""
    target = folder / "segmenter.onnx"
    model, voxel_mm = restored(KneeNet(), checkpoint)
    spec = {
        "name": name,
        "sha256": write(build(model), target),
        "spacing_mm": [voxel_mm or 1.2] * 3,
        "window": list(WINDOW),
        "multiple": 16,
        "mirrored": False,
        "draft": True,  # until the figures of the model card reach the bars
    }
    if refiner is not None:
        second, _ = restored(Refiner(), refiner)
        spec["refiner"] = write(build_refiner(second), folder / "segmenter_refiner.onnx")
    target.with_suffix(".json").write_text(json.dumps(spec, indent=2) + "\n")
    return target


def main() -> None:
    """Export one or two checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="mriseg knee segmenter 4")
    parser.add_argument("--refiner", type=Path, help="checkpoint of the network that refines")
    arguments = parser.parse_args()
    target = export(arguments.checkpoint, arguments.folder, arguments.name, arguments.refiner)
    print(f"{target} {target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
