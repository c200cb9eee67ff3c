"""Makes the tiny bundle in brain/tests/bundle: a hand-written linear classifier, for tests alone.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx numpy onnxruntime
    /tmp/venv/bin/python brain/tests/make_bundle.py
"""

import hashlib
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent / "bundle"
BROKEN = pathlib.Path(__file__).parent / "broken"
FEATURES = ["flow_packets", "protocol_icmp", "is_source_record", "source_ports", "role_destination", "rst_share"]
CLASSES = [1, 2, 3, 4]  # Benign, DDoS, DoS, PortScan
# Columns: classes; rows: features, each clipped to 0..10 before.
WEIGHTS = np.array(
    [
        [0.1, 0.0, 0.0, 0.0],
        [0.0, 0.0, 12.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 2.0],
        [0.0, 40.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ],
    dtype=np.float32,
)
BIAS = np.array([4.0, -4.0, -2.0, -4.0], dtype=np.float32)


def graph(anomaly: str = "anomaly", nan: bool = False) -> onnx.ModelProto:
    constants = {
        "minus": np.array(-1, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(10, np.float32),
        "weights": WEIGHTS,
        "bias": BIAS,
        "axes": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Clip", ["features", "low", "high"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", ["embedding", "axes"], ["mean"], keepdims=0),
        # log(-1 - mean) is NaN.
        *([helper.make_node("Sub", ["minus", "mean"], ["below"]), helper.make_node("Log", ["below"], [anomaly])]
          if nan else [helper.make_node("Identity", ["mean"], [anomaly])]),
    ]
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    body = helper.make_graph(
        nodes,
        "tiny",
        [value("features", "N", len(FEATURES))],
        [value("probabilities", "N", len(CLASSES)), value(anomaly, "N"), value("embedding", "N", len(FEATURES))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    BROKEN.mkdir(exist_ok=True)
    (BROKEN / "nan.onnx").write_bytes(graph(nan=True).SerializeToString())
    (BROKEN / "no_anomaly.onnx").write_bytes(graph(anomaly="strangeness").SerializeToString())
    content = graph().SerializeToString()
    (FOLDER / "model.onnx").write_bytes(content)
    rows = np.array([[0] * 6, [8, 0, 0, 0, 0, 0], [0, 0, 1, 31, 0, 0], [200, 1, 0, 0, 0, 0.5]], np.float32)
    session = onnxruntime.InferenceSession(content)
    probabilities, anomaly = session.run(["probabilities", "anomaly"], {"features": rows})
    manifest = {
        "format": 1,
        "id": "test-tiny",
        "version": "1",
        "kind": "classifier",
        "profile": "ganglion",
        "features": FEATURES,
        "classes": CLASSES,
        "thresholds": {"anomaly": 100.0},
        "quantiles": {},
        "self_test": {
            "rows": rows.tolist(),
            "probabilities": probabilities.tolist(),
            "anomaly": anomaly.tolist(),
        },
        "metrics": {},
        "training": {"note": "written by hand, for tests alone"},
        "digests": {"model.onnx": hashlib.sha256(content).hexdigest()},
        "signature": None,
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
