"""The table of K: DDIM steps and precision against speed and quality, of the graphs that `train` wrote."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import QuantType, quantize_dynamic

from ganglion_trainer import metrics
from ganglion_trainer.classes import BENIGN
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion.maker import SHOWN, START, STEPS, rule_name
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.files import read_json, write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.progress import say

_BATCH = 256
_RUNS = 7
# Each run takes so many batches.
_BATCHES = 40


def table(dataset: Dataset, folder: Path, comparison: Path | None, out: Path) -> list[dict[str, Any]]:
    """Measures `model-kK.onnx` of a folder, as they are and in 8 bits; writes the table here or into the comparison."""
    trained = Trained(folder)
    arrays = dataset.split("train")
    arrays = arrays.take(np.isin(arrays.y, trained.classes))
    x = np.ascontiguousarray(arrays.x[:, trained.columns(dataset)])
    truth = np.searchsorted(trained.classes, arrays.y).astype(np.int64)
    means = _means(comparison)
    found = []
    for steps in STEPS:
        path = folder / f"model-k{steps}.onnx"
        if not path.exists():
            raise TrainerError(f"{path}: missing: only `train --model diffusion` writes it")
        for precision in ("fp32", "int8"):
            graph = path if precision == "fp32" else _int8(path, out)
            content = graph.read_bytes()
            probabilities, anomaly = Session(content, str(graph)).score(x)
            right = metrics.confusion(truth, probabilities.argmax(axis=1).astype(np.int64), len(trained.classes))
            benign = arrays.y == BENIGN
            own = {
                "k": steps,
                "start": START * steps,
                "precision": precision,
                # The graph was made from all of these rows: the figure is for precisions to be held against each other.
                "macro_f1": round(metrics.macro_f1(right), 5),
                "auroc_of_attacks": round(metrics.auroc(anomaly[benign], anomaly[~benign]), 5),
                "mean_auroc": means.get(steps) if precision == "fp32" else None,
                "flows_per_s_1": round(_speed(content, x, 1)),
                "flows_per_s_2": round(_speed(content, x, 2)),
                "bytes": len(content),
            }
            say(f"K = {steps}, {precision}: {own['flows_per_s_1']} flows/s on one thread")
            found.append(own)
    _write(found, comparison, out)
    return found


def _int8(path: Path, out: Path) -> Path:
    to = out / path.name.replace(".onnx", "-int8.onnx")
    out.mkdir(parents=True, exist_ok=True)
    quantize_dynamic(str(path), str(to), weight_type=QuantType.QInt8, per_channel=True)
    return to


def _speed(content: bytes, x: F32, threads: int) -> float:
    """Flows per second, the median run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    batches = [x[(at * _BATCH) % max(1, len(x) - _BATCH) :][:_BATCH] for at in range(_BATCHES)]
    rates = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        for batch in batches:
            session.run(None, {"features": batch})
        rates.append(sum(len(batch) for batch in batches) / (time.perf_counter() - started))
    return float(np.median(rates))


def _means(comparison: Path | None) -> dict[int, float]:
    """Mean AUROC over classes left out, by K, under the rule that is shown for all of them."""
    if comparison is None:
        return {}
    rules: dict[str, float] = {}
    for own in read_json(comparison).get("leave_one_out", []):
        if own.get("model") == "diffusion":
            rules = own["rules"]
    name = rule_name(*SHOWN[0])
    found = {steps: rules.get(f"~{steps} steps: {name}", rules.get(name) if steps == 1 else None) for steps in STEPS}
    return {steps: value for steps, value in found.items() if value is not None}


def _write(found: list[dict[str, Any]], comparison: Path | None, out: Path) -> None:
    if comparison is None:
        write_json(out / "steps.json", {"format": 1, "k_table": found})
        return
    write_json(comparison, read_json(comparison) | {"k_table": found})
