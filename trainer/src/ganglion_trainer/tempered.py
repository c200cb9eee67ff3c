"""Puts a temperature behind the probabilities of a graph."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ganglion_trainer.calibrate import FLOOR
from ganglion_trainer.errors import TrainerError

_RAW = "raw_probabilities"


def with_temperature(model: onnx.ModelProto, warmth: float, classes: int) -> onnx.ModelProto:
    """The same model, its probabilities calibrated; whatever else read them still reads the raw ones."""
    if warmth == 1.0:
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    hits = 0
    for node in graph.node:
        for names in (node.output, node.input):
            for at, name in enumerate(names):
                if name == "probabilities":
                    names[at] = _RAW
                    hits += 1
    if not hits or "probabilities" not in [output.name for output in graph.output]:
        raise TrainerError(f"the graph has no output probabilities of {classes} classes to calibrate")
    for name, value in (("probability_floor", FLOOR), ("coldness", 1.0 / warmth)):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
    node = helper.make_node
    graph.node.extend(
        [
            node("Max", [_RAW, "probability_floor"], ["floored_probabilities"]),
            node("Log", ["floored_probabilities"], ["log_probabilities"]),
            node("Mul", ["log_probabilities", "coldness"], ["cooled"]),
            node("Softmax", ["cooled"], ["probabilities"], axis=1),
        ]
    )
    onnx.checker.check_model(made)
    return made
