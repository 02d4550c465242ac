"""ONNX graphs, written node by node.

Every operator is in the ONNX standard since version 13, every size is free, and no exporter decides anything.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from network import CLASSES
from onnx import TensorProto, helper, numpy_helper


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

    def value(self, name: str, shape: tuple[str | int, ...]) -> onnx.ValueInfoProto:
        """Describe an input or output in float32."""
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

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

    def plain(self, x: str, at: str) -> str:
        """Append ``refiner.Conv``."""
        weights = [self.weight(f"{at}.weight"), self.weight(f"{at}.bias")]
        return self.add("LeakyRelu", [self.add("Conv", [x, *weights], kernel_shape=[3] * 3, pads=[1] * 6)], alpha=0.1)

    def gated(self, x: str, at: str) -> str:
        """Append ``refiner.Gated``."""
        y = self.plain(self.plain(x, f"{at}.body.0"), f"{at}.body.1")
        return self.add("Add", [x, self.add("Mul", [y, self.weight(f"{at}.gate", (1, 1, 1, 1, 1))])])

    def fold(self, x: str, channels: int) -> str:
        """Append ``refiner.fold_each``."""
        eye = np.tile(np.eye(8, dtype=np.float32).reshape(8, 1, 2, 2, 2), (channels, 1, 1, 1, 1))
        groups = {"group": channels} if channels > 1 else {}
        return self.add("Conv", [x, self.constant(eye)], kernel_shape=[2] * 3, strides=[2] * 3, **groups)

    def unfold(self, x: str, output: str | None = None) -> str:
        """Append ``network.unfold``."""
        kernel = np.zeros((CLASSES, 8, CLASSES, 8), np.float32)
        for n in range(CLASSES):
            kernel[n, :, n] = np.eye(8)
        kernel = kernel.reshape(CLASSES * 8, CLASSES, 2, 2, 2)
        return self.add("ConvTranspose", [x, self.constant(kernel)], output, kernel_shape=[2] * 3, strides=[2] * 3)

    def halved(self, x: str) -> str:
        """Append a mean over pairs of voxels along each axis."""
        return self.add("AveragePool", [x], kernel_shape=[2] * 3, strides=[2] * 3)

    def doubled(self, x: str, scales: str) -> str:
        """Append what repeats each voxel along each axis; ``scales`` are :meth:`twice`."""
        return self.add("Resize", [x, "", scales], mode="nearest")

    def twice(self) -> str:
        """Store how much larger :meth:`doubled` makes each axis."""
        return self.constant(np.array([1, 1, 2, 2, 2], np.float32))

    def model(self, name: str, inputs: list[onnx.ValueInfoProto], output: onnx.ValueInfoProto) -> onnx.ModelProto:
        """Return the checked model of everything that was appended."""
        body = helper.make_graph(self.nodes, name, inputs, [output], self.constants)
        built = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(built)
        return built
