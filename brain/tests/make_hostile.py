"""Makes the models in brain/tests/hostile, which keep the contract of the tiny bundle and mean harm; see README there.

    /tmp/venv/bin/python brain/tests/make_hostile.py        (the environment of make_bundle.py)
"""

import pathlib

import numpy as np
import onnx
from make_bundle import graph
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent / "hostile"
# In elements: four terabytes of f32.
HUGE = 10**12


def const(name: str, value: object, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


def with_bait(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    """The tiny model, whose anomaly score waits for a number called "bait" and takes nothing of it."""
    model = graph(anomaly="anomaly_before")
    body = model.graph
    body.initializer.extend([*constants, const("nothing", 0, np.float32)])
    body.node.extend(nodes)
    body.node.append(helper.make_node("Mul", ["bait", "nothing"], ["taken"]))
    body.node.append(helper.make_node("Add", ["anomaly_before", "taken"], ["anomaly"]))
    for output in body.output:
        if output.name == "anomaly_before":
            output.name = "anomaly"
    return model


def expand() -> onnx.ModelProto:
    """Spreads a number of the input over four terabytes as it runs."""
    return with_bait(
        [
            helper.make_node("ReduceMax", ["mean"], ["one"], keepdims=1),
            helper.make_node("Expand", ["one", "shape"], ["spread"]),
            helper.make_node("ReduceMin", ["spread"], ["bait"], keepdims=0),
        ],
        [const("shape", [HUGE], np.int64)],
    )


def fold() -> onnx.ModelProto:
    """Holds a constant of four terabytes, which is made when constants are folded: as it loads."""
    return with_bait(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["spread"]),
            helper.make_node("ReduceMin", ["spread"], ["bait"], keepdims=0),
        ],
        [const("shape", [HUGE], np.int64)],
    )


def batch() -> onnx.ModelProto:
    """Takes the fourth power of its rows: nothing for the four of the self-test, 17 gigabytes for 256."""
    return with_bait(
        [
            helper.make_node("Shape", ["mean"], ["rows"]),
            helper.make_node("Concat", ["rows", "rows", "rows", "rows"], ["shape"], axis=0),
            helper.make_node("ReduceMax", ["mean"], ["one"], keepdims=1),
            helper.make_node("Expand", ["one", "shape"], ["spread"]),
            helper.make_node("ReduceMin", ["spread"], ["bait"], keepdims=0),
        ],
        [],
    )


def slow() -> onnx.ModelProto:
    """Goes round a loop until the end of time."""
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["before"], ["after"])],
        "round",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("before", TensorProto.FLOAT, [])],
        [value("on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, [])],
    )
    return with_bait(
        [
            helper.make_node("ReduceMax", ["mean"], ["one"], keepdims=0),
            helper.make_node("Loop", ["times", "yes", "one"], ["bait"], body=body),
        ],
        [const("times", 2**62, np.int64), const("yes", True, np.bool_)],
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for make in (expand, fold, batch, slow):
        model = make()
        onnx.checker.check_model(model)
        (FOLDER / f"{make.__name__}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
