"""Writes ONNX graphs node by node: what ships holds these operators and no others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ganglion_trainer.graph import IR_VERSION, ML_OPSET, OPSET

Constant = npt.NDArray[np.float32] | npt.NDArray[np.int64] | float


class Emitter:
    """A graph under construction; every method gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._known: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def constant(self, value: Constant) -> str:
        """A constant; equal ones are kept once."""
        array = np.asarray(value, dtype=np.float32) if isinstance(value, float) else np.asarray(value, order="C")
        key = (array.dtype.str, array.tobytes(), array.shape)
        if key not in self._known:
            name = f"c{len(self._known)}"
            self._known[key] = name
            self.constants[name] = numpy_helper.from_array(array, name)
        return self._known[key]

    def node(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:  # noqa: ANN401
        """One operator with one result."""
        name = out or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def several(self, operator: str, inputs: list[str], results: int, **attributes: Any) -> list[str]:  # noqa: ANN401
        """One operator with several results."""
        names = [f"v{len(self.nodes)}_{number}" for number in range(results)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def split(self, x: str, parts: int, axis: int) -> list[str]:
        """Equal parts along an axis."""
        names = [f"v{len(self.nodes)}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], names, axis=axis, num_outputs=parts))
        return names

    def add(self, a: str, b: str | Constant) -> str:
        """a + b."""
        return self.node("Add", a, b if isinstance(b, str) else self.constant(b))

    def mul(self, a: str, b: str | Constant) -> str:
        """a · b, element by element."""
        return self.node("Mul", a, b if isinstance(b, str) else self.constant(b))

    def sub(self, a: str, b: str | Constant) -> str:
        """a − b."""
        return self.node("Sub", a, b if isinstance(b, str) else self.constant(b))

    def linear(self, x: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """x · weightᵀ + bias, for weights as PyTorch keeps them."""
        # Transposed here: the kernel takes it as it lies.
        turned = self.constant(np.ascontiguousarray(weight.T))
        return self.node("Gemm", x, turned, self.constant(bias))

    def silu(self, x: str) -> str:
        """x · σ(x)."""
        return self.mul(x, self.node("Sigmoid", x))

    def norm(self, x: str, scale: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        return self.node("LayerNormalization", x, self.constant(scale), self.constant(shift), axis=-1, epsilon=epsilon)

    def mean(self, x: str, axis: int, keep: bool = False) -> str:
        """Mean over an axis."""
        return self.node("ReduceMean", x, self.constant(np.array([axis], dtype=np.int64)), keepdims=int(keep))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Another shape; 0 keeps a size, −1 takes the rest."""
        return self.node("Reshape", x, self.constant(np.array(shape, dtype=np.int64)))

    def clip(self, x: str, low: float, high: float) -> str:
        """Values held within limits."""
        return self.node("Clip", x, self.constant(float(low)), self.constant(float(high)))

    def model(self, columns: int, outputs: dict[str, list[int | str]]) -> onnx.ModelProto:
        """The whole graph: `features` in, `outputs` with their shapes out."""
        value = helper.make_tensor_value_info
        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(
            self.nodes,
            "ganglion",
            [value("features", TensorProto.FLOAT, ["N", columns])],
            [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            [own for name, own in self.constants.items() if name in used],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, producer_name="ganglion-trainer", ir_version=IR_VERSION)
        onnx.checker.check_model(made)
        return made
