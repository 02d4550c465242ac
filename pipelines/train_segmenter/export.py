"""Write the averaged weights of a checkpoint as the ONNX file that mriseg ships, and its specification.

    python export.py CHECKPOINT.pt ASSETS_DIR [--name NAME]

The graph is written node by node: every operator is in the ONNX standard since version 13, every size is free, and no
exporter decides anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from network import BLOCKS_UP, CLASSES, WIDTHS, KneeNet
from onnx import TensorProto, helper, numpy_helper

WINDOW = (64, 96, 96)


class Graph:
    """Nodes and constants of an ONNX graph in the order of their making."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self.weights, self.nodes, self.constants = weights, [], []

    def constant(self, values: np.ndarray) -> str:
        """Store an array and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str, shape: tuple[int, ...] | None = None) -> str:
        """Store a float32 weight of the model, reshaped."""
        values = self.weights[name].detach().cpu().float().numpy()
        return self.constant(values if shape is None else values.reshape(shape))

    def add(self, operator: str, inputs: list[str], output: str | None = None, **attributes: object) -> str:
        """Append a node and return the name of its output."""
        name = output or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def conv(self, x: str, at: str) -> str:
        """Append ``network.Conv``."""
        x = self.add("Conv", [x, self.weight(f"{at}.weight")], kernel_shape=[3] * 3, pads=[1] * 6)
        scale, bias = self.weight(f"{at}.norm.weight"), self.weight(f"{at}.norm.bias")
        x = self.add("InstanceNormalization", [x, scale, bias], epsilon=1e-5)
        return self.add("LeakyRelu", [x], alpha=0.01)

    def residual(self, x: str, at: str, n: int) -> str:
        """Append ``network.Residual``."""
        y = x
        for step in range(n):
            y = self.conv(y, f"{at}.body.{step}")
        return self.add("Add", [x, y])

    def mix(self, x: str, at: str) -> str:
        """Append ``network.Mix``."""
        outputs, inputs = self.weights[f"{at}.weight"].shape
        kernel = self.weight(f"{at}.weight", (outputs, inputs, 1, 1, 1))
        return self.add("Conv", [x, kernel, self.weight(f"{at}.bias")], kernel_shape=[1] * 3)


def build(model: KneeNet) -> onnx.ModelProto:
    """Return the ONNX model that computes the same as ``model``."""
    graph = Graph(model.state_dict())
    eye = np.eye(8, dtype=np.float32).reshape(8, 1, 2, 2, 2)
    x = graph.add("Conv", ["image", graph.constant(eye)], kernel_shape=[2] * 3, strides=[2] * 3)
    levels = [graph.residual(graph.conv(x, "stem.0"), "stem.1", 1)]
    for n in range(len(WIDTHS) - 1):
        x = graph.add("AveragePool", [levels[-1]], kernel_shape=[2] * 3, strides=[2] * 3)
        levels.append(graph.residual(graph.conv(x, f"down.{n}.1"), f"down.{n}.2", 1))
    x = graph.residual(levels.pop(), "bottom", 2)
    scales = graph.constant(np.array([1, 1, 2, 2, 2], np.float32))
    for n in reversed(range(len(WIDTHS) - 1)):
        x = graph.add("Resize", [graph.mix(x, f"reduce.{n}"), "", scales], mode="nearest")
        x = graph.residual(graph.add("Add", [levels.pop(), x]), f"up.{n}", BLOCKS_UP)
    kernel = np.zeros((CLASSES, 8, CLASSES, 8), np.float32)
    for n in range(CLASSES):
        kernel[n, :, n] = np.eye(8)
    kernel = kernel.reshape(CLASSES * 8, CLASSES, 2, 2, 2)
    x = graph.mix(x, "head")
    graph.add("ConvTranspose", [x, graph.constant(kernel)], "logits", kernel_shape=[2] * 3, strides=[2] * 3)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, "i", "j", "k"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES, "i", "j", "k"])
    body = helper.make_graph(graph.nodes, "knee", [image], [logits], graph.constants)
    built = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(built)
    return built


def export(checkpoint: Path, folder: Path, name: str) -> Path:
    """Write ``segmenter.onnx`` and ``segmenter.json`` into ``folder``."""
    model = KneeNet()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["mean"])
    target = folder / "segmenter.onnx"
    target.write_bytes(build(model.eval()).SerializeToString())
    spec = {
        "name": name,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "spacing_mm": [state.get("voxel_mm", 1.2)] * 3,
        "window": list(WINDOW),
        "multiple": 16,
        "mirrored": True,
        "sharpen": True,
        "draft": True,  # until the figures of the model card reach the bars
    }
    target.with_suffix(".json").write_text(json.dumps(spec, indent=2) + "\n")
    return target


def main() -> None:
    """Export a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="mriseg knee segmenter 3")
    arguments = parser.parse_args()
    target = export(arguments.checkpoint, arguments.folder, arguments.name)
    print(f"{target} {target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
