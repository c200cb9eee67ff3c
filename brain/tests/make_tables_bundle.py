"""Makes brain/tests/tables: a tiny bundle of CICFlowMeter columns, for tests alone, and shap.json beside it.

The flows are made up: four classes by simple rules over twelve columns. shap.json holds the exact Shapley values that
the `shap` package finds for some rows of the same ONNX model against the bundle's own background.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install numpy scikit-learn skl2onnx onnx onnxruntime shap
    /tmp/venv/bin/python brain/tests/make_tables_bundle.py
"""

import hashlib
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import shap
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import ExtraTreesClassifier

FOLDER = pathlib.Path(__file__).parent / "tables"
FEATURES = [
    "Flow Duration", "Total Fwd Packet", "Total Bwd packets", "Total Length of Fwd Packet",
    "Total Length of Bwd Packet", "Flow Bytes/s", "Flow Packets/s", "Flow IAT Mean", "SYN Flag Count",
    "RST Flag Count", "Down/Up Ratio", "FWD Init Win Bytes",
]
CLASSES = [1, 3, 4, 6]  # Benign, DoS, PortScan, BruteForce
BACKGROUND, EXPLAINED = 16, 6


def flows(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    y = random.integers(0, len(CLASSES), rows)
    forward = np.select([y == 0, y == 1, y == 2], [random.integers(4, 40, rows), random.integers(20, 200, rows),
                                                   random.integers(1, 3, rows)], random.integers(8, 16, rows))
    backward = np.select([y == 0, y == 1, y == 2], [forward + random.integers(0, 20, rows), random.integers(0, 8, rows),
                                                    random.integers(0, 2, rows)], random.integers(8, 16, rows))
    duration = random.lognormal(np.choose(y, [14, 12, 6, 13]), 1.0)
    fwd_bytes = forward * random.integers(0, 600, rows) * (y != 2)
    bwd_bytes = backward * random.integers(0, 1400, rows) * (y != 2)
    packets = forward + backward
    x = np.stack([
        duration, forward, backward, fwd_bytes, bwd_bytes, (fwd_bytes + bwd_bytes) / duration * 1e6,
        packets / duration * 1e6, duration / np.maximum(packets - 1, 1), 1 + (y == 1) * random.integers(0, 9, rows),
        (y == 2) * random.integers(0, 2, rows), backward / forward,
        np.choose(y, [29_200, 512, 1_024, 64_240]) + random.integers(0, 200, rows),
    ], axis=1)
    return x.astype(np.float32), np.array(CLASSES)[y]


def graph(model: ExtraTreesClassifier) -> onnx.ModelProto:
    """The contract: `features` in, `probabilities` and `anomaly` out; here the anomaly is 1 − the largest of them."""
    converted = to_onnx(model, initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
                        options={id(model): {"zipmap": False}}, target_opset={"": 18, "ai.onnx.ml": 3})
    body = converted.graph
    body.node.extend([
        helper.make_node("ReduceMax", ["probabilities", "one"], ["largest"], keepdims=0),
        helper.make_node("Sub", ["unit", "largest"], ["anomaly"]),
    ])
    body.initializer.extend([helper.make_tensor("one", TensorProto.INT64, [1], [1]),
                             helper.make_tensor("unit", TensorProto.FLOAT, [], [1.0])])
    del body.output[:]
    body.output.extend([helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(CLASSES)]),
                        helper.make_tensor_value_info("anomaly", TensorProto.FLOAT, ["N"])])
    onnx.checker.check_model(converted)
    return converted


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    random = np.random.default_rng(7)
    x, y = flows(random, 4_000)
    model = ExtraTreesClassifier(n_estimators=8, max_depth=5, min_samples_leaf=20, random_state=7).fit(x, y)
    content = graph(model).SerializeToString()
    (FOLDER / "model.onnx").write_bytes(content)
    session = onnxruntime.InferenceSession(content)
    score = lambda rows: session.run(["probabilities", "anomaly"], {"features": rows.astype(np.float32)})
    rows, background = x[:4], x[100 : 100 + BACKGROUND]
    probabilities, anomaly = score(rows)
    manifest = {
        "format": 1, "id": "test-tables", "version": "1", "kind": "classifier", "profile": "cicflowmeter",
        "features": FEATURES, "classes": CLASSES, "thresholds": {"anomaly": 0.9}, "quantiles": {},
        "background": background.tolist(),
        "self_test": {"rows": rows.tolist(), "probabilities": probabilities.tolist(), "anomaly": anomaly.tolist()},
        "metrics": {}, "training": {"note": "made-up flows, for tests alone"},
        "digests": {"model.onnx": hashlib.sha256(content).hexdigest()}, "signature": None,
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest) + "\n")
    explained = x[500 : 500 + EXPLAINED]
    explainer = shap.explainers.Exact(lambda some: score(some)[0], shap.maskers.Independent(background, BACKGROUND))
    found = explainer(explained)
    columns = score(explained)[0].argmax(axis=1)
    values = [found.values[row, :, column] for row, column in enumerate(columns)]
    base = score(background)[0].mean(axis=0)
    for row, column in enumerate(columns):
        due = score(explained)[0][row, column] - base[column]
        assert abs(values[row].sum() - due) < 1e-4, (values[row].sum(), due)
    (FOLDER / "shap.json").write_text(json.dumps({
        "made_by": f"shap {shap.__version__}, explainers.Exact",
        "rows": explained.tolist(),
        "classes": [CLASSES[column] for column in columns],
        "values": [value.tolist() for value in values],
        "base": [float(base[column]) for column in columns],
    }) + "\n")


main()
