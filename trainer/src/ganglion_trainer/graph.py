"""ONNX graphs by the brain's contract: `features` in; `probabilities` and `anomaly` out.

The whole path is in the graph: signed logarithms of the inputs, the classifier, its calibration, the anomaly
score. What is judged by `evaluate` is what ships.
"""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from ganglion_trainer.derived import F32
from ganglion_trainer.errors import TrainerError

OPSET = 21
ML_OPSET = 3
IR_VERSION = 10
# Probabilities are not taken for smaller than this before they are calibrated.
FLOOR = 1e-4
# Squared z-scores count up to this: one odd column is not enough for an odd row.
Z2_LIMIT = 64.0
_BATCH = 16_384


@dataclass(frozen=True)
class Anomaly:
    """Mean and deviation of each transformed column over benign rows; two rows: FLOW, SOURCE."""

    mean: F32
    deviation: F32
    # The 99th percentile of the mean squared z-score over benign rows, per kind.
    scale: F32
    # Column that tells SOURCE rows; none when there are none.
    selector: int | None


def transform_model(columns: int) -> onnx.ModelProto:
    """Only the signed logarithms, so that training sees the very bits that the brain will."""
    return _model(_transform(), [], [("transformed", ["N", columns])], columns)


def full_model(classifier: onnx.ModelProto, columns: int, classes: int, temperature: float, anomaly: Anomaly) -> bytes:
    """Transformation, classifier, calibration and anomaly score in one graph."""
    graph = classifier.graph
    outputs = {output.name for output in graph.output}
    raw = "raw_probabilities"
    if raw not in outputs or [value.name for value in graph.input] != ["transformed"]:
        raise TrainerError(f"the converted classifier has outputs {sorted(outputs)}, {raw!r} is due")
    nodes = [*_transform(), *_needed(list(graph.node), raw), *_calibrate(raw), *_anomaly(anomaly)]
    constants = [*graph.initializer, *_constants(temperature, anomaly)]
    used = {name for node in nodes for name in node.input}
    constants = [constant for constant in constants if constant.name in used]
    model = _model(nodes, constants, [("probabilities", ["N", classes]), ("anomaly", ["N"])], columns)
    return bytes(model.SerializeToString(deterministic=True))


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    outputs: list[tuple[str, list[int | str]]],
    columns: int,
) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "ganglion",
        [value("features", TensorProto.FLOAT, ["N", columns])],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(np.asarray(1.0, dtype=np.float32), "one"), *constants],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="ganglion-trainer", ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _transform() -> list[onnx.NodeProto]:
    """sign(x) · ln(1 + |x|)."""
    node = helper.make_node
    return [
        node("Abs", ["features"], ["magnitude"]),
        node("Add", ["magnitude", "one"], ["above_one"]),
        node("Log", ["above_one"], ["logarithm"]),
        node("Sign", ["features"], ["sign"]),
        node("Mul", ["sign", "logarithm"], ["transformed"]),
    ]


def _calibrate(raw: str) -> list[onnx.NodeProto]:
    """softmax(ln(max(p, floor)) / temperature)."""
    node = helper.make_node
    return [
        node("Max", [raw, "floor"], ["floored"]),
        node("Log", ["floored"], ["log_probabilities"]),
        node("Mul", ["log_probabilities", "coldness"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]


def _anomaly(anomaly: Anomaly) -> list[onnx.NodeProto]:
    """mean over columns of min(z², limit), over the 99th percentile of benign rows of the same kind."""
    node = helper.make_node
    nodes = []
    names = {"mean": "mean_flow", "weight": "weight_flow", "scale": "scale_flow"}
    if anomaly.selector is not None:
        nodes += [
            node("Gather", ["features", "selector"], ["selected"], axis=1),
            node("Clip", ["selected", "zero", "one"], ["is_source"]),
        ]
        for name in ("mean", "weight", "scale"):
            nodes += [
                node("Mul", ["is_source", f"{name}_step"], [f"{name}_moved"]),
                node("Add", [f"{name}_moved", f"{name}_flow"], [f"{name}_row"]),
            ]
            names[name] = f"{name}_row"
    return [
        *nodes,
        node("Sub", ["transformed", names["mean"]], ["deviation"]),
        node("Mul", ["deviation", names["weight"]], ["z"]),
        node("Mul", ["z", "z"], ["z2"]),
        node("Min", ["z2", "z2_limit"], ["z2_limited"]),
        node("ReduceMean", ["z2_limited", "columns_axis"], ["z2_mean"], keepdims=1),
        node("Mul", ["z2_mean", names["scale"]], ["anomaly_column"]),
        node("Squeeze", ["anomaly_column", "columns_axis"], ["anomaly"]),
    ]


def _constants(temperature: float, anomaly: Anomaly) -> list[onnx.TensorProto]:
    weight = (1.0 / anomaly.deviation).astype(np.float32)
    scale = (1.0 / anomaly.scale).astype(np.float32).reshape(2, 1)
    values = {
        "zero": np.float32(0.0),
        "floor": np.float32(FLOOR),
        "coldness": np.float32(1.0 / temperature),
        "z2_limit": np.float32(Z2_LIMIT),
        "columns_axis": np.array([1], dtype=np.int64),
        "selector": np.array([anomaly.selector or 0], dtype=np.int64),
    }
    for name, value in (("mean", anomaly.mean), ("weight", weight), ("scale", scale)):
        values[f"{name}_flow"] = value[0:1]
        values[f"{name}_step"] = value[1:2] - value[0:1]
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _needed(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes that the output takes, in their order."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


class Session:
    """A graph ready to run, on one thread."""

    def __init__(self, model: bytes, where: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes share no base
            raise TrainerError(f"{where}: ONNX Runtime refuses it: {' '.join(str(error).split())[:300]}") from error
        self.where = where

    def run(self, x: F32, names: list[str]) -> list[F32]:
        """The outputs for all rows, in batches."""
        parts = []
        for start in range(0, max(len(x), 1), _BATCH):
            try:
                parts.append(self.session.run(names, {"features": x[start : start + _BATCH]}))
            except Exception as error:
                raise TrainerError(f"{self.where}: {' '.join(str(error).split())[:300]}") from error
        outputs = [np.concatenate([part[index] for part in parts]) for index in range(len(names))]
        for name, output in zip(names, outputs, strict=True):
            if not np.isfinite(output).all():
                raise TrainerError(f"{self.where}: {name} is NaN or infinite")
        return outputs

    def score(self, x: F32) -> tuple[F32, F32]:
        """Probabilities and anomaly."""
        probabilities, anomaly = self.run(x, ["probabilities", "anomaly"])
        return probabilities, anomaly


def transform(x: F32) -> F32:
    """The rows as the classifier sees them."""
    model = transform_model(x.shape[1]).SerializeToString()
    return Session(model, "transformation").run(x, ["transformed"])[0]
