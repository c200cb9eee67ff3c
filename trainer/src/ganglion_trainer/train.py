"""`train`: compare candidates on grouped folds, calibrate the chosen one, fit it on all rows, write its graph."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import StratifiedGroupKFold

from ganglion_trainer import candidates, graph, inputs, metrics
from ganglion_trainer.classes import name
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Arrays, Dataset
from ganglion_trainer.derived import F32, I64, SOURCE, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import sha256, write_json
from ganglion_trainer.inputs import F64
from ganglion_trainer.progress import say

FORMAT = 1
ABOUT = "training.json"
MODEL = "model.onnx"
# Deviations are not taken for smaller than this, in ln units: a column that never moved is not a trap.
_LEAST_DEVIATION = 0.25
# The threshold of the anomaly score leaves this share of held-out benign rows above it.
_UNUSUAL = 0.001
# How far the graph may be from the library on single rows, and on how many it may be further.
_APART, _APART_SHARE = 1e-3, 1e-3


@dataclass(frozen=True)
class _Data:
    """Training rows as the classifiers see them."""

    arrays: Arrays
    columns: inputs.Columns
    classes: list[int]
    x: F32
    transformed: F32
    # Number into `classes`.
    y: I64
    weight: F64
    folds: list[tuple[I64, I64]]


def train(dataset: Dataset, config: Config, out: Path) -> dict[str, Any]:
    """Writes `model.onnx` and `training.json`; returns the latter."""
    data, empty = _data(dataset, config)
    say(f"{len(data.y)} rows, {len(data.columns.names)} inputs, classes {', '.join(name(c) for c in data.classes)}")
    compared = {candidate: _cross_validate(candidate, data, config) for candidate in config.train["candidates"]}
    chosen = _choose(compared, config)
    say(f"chosen: {chosen}")
    out_of_fold: F64 = compared[chosen].pop("probabilities")
    temperature = compared[chosen]["temperature"]
    quiet = inputs.quiet_benign(data.arrays, dataset.origins)
    anomaly = _anomaly(data, quiet)
    model = candidates.fit(chosen, config.train["seed"], data.transformed, data.y, data.weight)
    raw = candidates.to_onnx(model, len(data.columns.names))
    onnx_bytes = graph.full_model(raw, len(data.columns.names), len(data.classes), temperature, anomaly)
    if len(onnx_bytes) > config.train["max_model_bytes"]:
        raise TrainerError(f"the model takes {len(onnx_bytes)} bytes, {config.train['max_model_bytes']} are allowed")
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL).write_bytes(onnx_bytes)
    session = graph.Session(onnx_bytes, MODEL)
    apart = _parity(session, data, model, temperature)
    threshold = _threshold(data, quiet, session.score(data.x)[1])
    calibrated = _calibrated(out_of_fold, temperature)
    about = {
        "format": FORMAT,
        "features": data.columns.names,
        "classes": data.classes,
        "thresholds": {"anomaly": threshold},
        "chosen": chosen,
        "candidates": {key: {k: v for k, v in own.items() if k != "probabilities"} for key, own in compared.items()},
        "calibration": {
            "method": "softmax(ln(max(p, 1e-4)) / temperature), temperature by weighted log loss on held-out folds",
            "temperature": temperature,
            "error_before": round(metrics.calibration_error(data.y, out_of_fold, data.weight), 5),
            "error_after": round(metrics.calibration_error(data.y, calibrated, data.weight), 5),
        },
        "anomaly": "mean over columns of min(z², 64) of ln-transformed inputs against benign training rows of the "
        "same record kind, over its 99th percentile there; the threshold leaves 0.1 % of benign training rows above",
        "onnx_apart_from_sklearn": apart,
        "empty_classes": empty,
        "left_out": data.columns.left_out,
        "settings": config.as_json(),
        "rows": len(data.y),
        "dataset_digest": dataset.digest,
        "model_digest": sha256(out / MODEL),
    }
    write_json(out / ABOUT, about)
    return about


def _data(dataset: Dataset, config: Config) -> tuple[_Data, dict[str, str]]:
    arrays = dataset.split("train")
    if not len(arrays.y):
        raise TrainerError("no rows of split `train`: record with `--split train`")
    classes, empty = inputs.usable_classes(arrays, config)
    for label, why in empty.items():
        say(f"class {label} stays empty: {why}")
    arrays = arrays.take(np.isin(arrays.y, classes))
    columns = inputs.choose(dataset.features, arrays.x, config)
    x = columns.of(arrays.x)
    y = np.searchsorted(classes, arrays.y).astype(np.int64)
    weight = inputs.weights(arrays, classes, config.train["benign_weight"], config.train["evenness"])
    splitter = StratifiedGroupKFold(config.train["folds"], shuffle=True, random_state=config.train["seed"])
    folds = list(splitter.split(x, y, inputs.fold_groups(arrays)))
    return _Data(arrays, columns, classes, x, graph.transform(x), y, weight, folds), empty


def _cross_validate(candidate: str, data: _Data, config: Config) -> dict[str, Any]:
    count = len(data.classes)
    found = np.zeros((len(data.y), count))
    seconds, model = 0.0, None
    for number, (learn, held) in enumerate(data.folds, 1):
        started = time.perf_counter()
        model = candidates.fit(
            candidate, config.train["seed"], data.transformed[learn], data.y[learn], data.weight[learn]
        )
        found[held] = candidates.probabilities(model, data.transformed[held], count)
        seconds += time.perf_counter() - started
        say(f"{candidate}: fold {number} of {len(data.folds)}")
    table = metrics.confusion(data.y, found.argmax(axis=1), count, data.weight)
    size, micros = _cost(model, data)
    temperature = _temperature(data, found)
    score, loss = metrics.macro_f1(table), metrics.log_loss(data.y, _calibrated(found, temperature), data.weight)
    # Times are shown but not kept: the files would differ from run to run.
    say(f"{candidate}: macro F1 {score:.4f}, log loss {loss:.4f}, {size} bytes, {micros:.1f} µs a row, {seconds:.0f} s")
    scores = metrics.f1(table)
    return {
        "macro_f1": round(score, 5),
        "log_loss": round(loss, 5),
        "temperature": round(temperature, 6),
        "f1": {name(label): round(float(score), 5) for label, score in zip(data.classes, scores, strict=True)},
        "bytes": size,
        "probabilities": found,
    }


def _cost(model: Any, data: _Data) -> tuple[int, float]:  # noqa: ANN401
    """Size of the graph, and µs a row in batches of 64."""
    columns = len(data.columns.names)
    flat = np.ones((2, columns), dtype=np.float32)
    anomaly = graph.Anomaly(flat, flat, np.ones(2, dtype=np.float32), data.columns.selector)
    model_bytes = graph.full_model(candidates.to_onnx(model, columns), columns, len(model.classes_), 1.0, anomaly)
    session = graph.Session(model_bytes, "candidate")
    batch = data.x[:64]
    times = []
    for _ in range(50):
        started = time.perf_counter()
        session.score(batch)
        times.append(time.perf_counter() - started)
    return len(model_bytes), float(np.median(times)) * 1e6 / len(batch)


# Of equally good candidates: trees do not extrapolate, random splits overfit least, one graph node is fast.
_PREFERENCE = ("extra-trees", "random-forest", "xgboost", "mlp")


def _choose(compared: dict[str, dict[str, Any]], config: Config) -> str:
    fit = {key: own for key, own in compared.items() if own["bytes"] <= config.train["max_model_bytes"]}
    if not fit:
        raise TrainerError(f"no candidate fits into {config.train['max_model_bytes']} bytes")
    # Log loss, not F1: verdicts go by confidence, so a confident mistake must cost more than a doubtful one.
    best = min(own["log_loss"] for own in fit.values())
    close = [key for key, own in fit.items() if own["log_loss"] <= best + config.train["tie"]]
    return min(close, key=_PREFERENCE.index)


def _calibrated(probabilities: F64, temperature: float) -> F64:
    logits = np.log(np.maximum(probabilities, graph.FLOOR)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _temperature(data: _Data, out_of_fold: F64) -> float:
    loss = lambda ln: metrics.log_loss(data.y, _calibrated(out_of_fold, float(np.exp(ln))), data.weight)  # noqa: E731
    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(5.0)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def _anomaly(data: _Data, quiet: Bool) -> graph.Anomaly:
    """Statistics of quiet benign rows, per kind; where a kind has too few, those of all."""
    means, deviations, scales = [], [], []
    for source in (False, True):
        mine = quiet & ((data.arrays.kind == SOURCE) == source)
        mine = mine if np.count_nonzero(mine) >= 20 else quiet
        rows = np.asarray(data.transformed[mine], dtype=np.float64)
        means.append(rows.mean(axis=0))
        deviations.append(np.maximum(rows.std(axis=0), _LEAST_DEVIATION))
        score = np.minimum(((rows - means[-1]) / deviations[-1]) ** 2, graph.Z2_LIMIT).mean(axis=1)
        scales.append(max(float(np.quantile(score, 0.99)), 1e-3))
    mean, deviation, scale = (np.array(values, dtype=np.float32) for values in (means, deviations, scales))
    return graph.Anomaly(mean, deviation, scale, data.columns.selector)


def _threshold(data: _Data, quiet: Bool, anomaly: F32) -> float:
    return float(np.float32(max(float(np.quantile(anomaly[quiet], 1 - _UNUSUAL)), 1.0)))


def _parity(session: graph.Session, data: _Data, model: Any, temperature: float) -> float:  # noqa: ANN401
    """The share of rows on which the graph and scikit-learn disagree; few, at borders, are let pass."""
    due = _calibrated(candidates.probabilities(model, data.transformed, len(data.classes)), temperature)
    apart = np.abs(session.score(data.x)[0] - due).max(axis=1) > _APART
    share = float(apart.mean())
    if share > _APART_SHARE:
        raise TrainerError(f"the graph differs from scikit-learn on {share:.2%} of rows")
    return round(share, 6)
