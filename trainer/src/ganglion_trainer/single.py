"""`train --model`: one model of the comparison, for a data set of tables: searched, calibrated, fitted on all rows."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import inputs, metrics, splits, watched
from ganglion_trainer.calibrate import calibrated, temperature
from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.compare.registry import ANOMALY, NAMES, VOTE, maker
from ganglion_trainer.compare.search import search
from ganglion_trainer.config import Config
from ganglion_trainer.contract import Fitted, Rows, curve
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion.maker import Model
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import sha256, write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.progress import say
from ganglion_trainer.tempered import with_temperature
from ganglion_trainer.train import ABOUT, FORMAT, MODEL

KIND = "single"
# The threshold of the anomaly score leaves this share of held-out benign rows above it.
UNUSUAL = 0.01
# How far graph and library may be apart on single rows, and on how large a share of rows further.
_APART, _APART_SHARE = 1e-3, 1e-3
# Of the folds that calibration holds out one of.
_SEED_OF_FOLDS = 1


def train(dataset: Dataset, config: Config, model: str, seed: int, out: Path, command: str = "") -> dict[str, Any]:
    """Writes `model.onnx` and `training.json`; returns the latter."""
    if model not in NAMES or model == VOTE:
        raise TrainerError(f"unknown model {model!r}; known are {', '.join(own for own in NAMES if own != VOTE)}")
    arrays = dataset.split("train")
    columns = inputs.choose(dataset.features, arrays.x, config)
    classes = [int(label) for label in np.unique(arrays.y)]
    if BENIGN not in classes or len(classes) < 2:
        raise TrainerError("Benign and one attack at least are due to train a model")
    y = np.searchsorted(classes, arrays.y).astype(np.int64)
    rows = Rows(columns.of(arrays.x), y, len(classes), classes.index(BENIGN), tuple(columns.names))
    own = maker(model, config)
    found = search(own, rows, config.compare, seed)
    say(f"{model}: {len(y)} rows, {len(columns.names)} inputs; searched: {found.hyper}")
    fold = splits.folds(arrays, "grouped", config.compare["folds"], _SEED_OF_FOLDS)
    held = np.flatnonzero(fold == 0)
    learn = rows.take(np.flatnonzero(fold != 0))
    learn = replace(learn, watched=watched.some(rows.x[held], y[held], learn.y, seed))
    trial = own.fit(learn, found.hyper, seed, 1.0)
    about = _calibrate(trial, rows.take(held), model)
    say(f"{model}: calibrated on {len(held)} rows: {about['calibration']}")
    fitted = own.fit(rows, found.hyper, seed, 1.0)
    graph = with_temperature(fitted.onnx(), about["calibration"]["temperature"], len(classes))
    content = graph.SerializeToString(deterministic=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL).write_bytes(content)
    apart = _parity(Session(content, MODEL), fitted, rows.x, about["calibration"]["temperature"])
    if isinstance(fitted, Model):
        for steps, other in fitted.with_steps().items():
            own_graph = with_temperature(other.onnx(), about["calibration"]["temperature"], len(classes))
            (out / f"model-k{steps}.onnx").write_bytes(own_graph.SerializeToString(deterministic=True))
    about = {
        "format": FORMAT,
        "kind": KIND,
        "command": command,
        "features": columns.names,
        "classes": classes,
        "chosen": model,
        "seed": seed,
        "hyper": found.hyper,
        "trials": found.trials,
        "parameters": fitted.parameters(),
        "rule": asdict(fitted.detector.rule) if isinstance(fitted, Model) else None,
        **about,
        # Of the training that calibration held rows out of.
        "curve": curve(trial),
        "onnx_apart": apart,
        "class_rows": {name(label): int((arrays.y == label).sum()) for label in classes},
        "left_out": columns.left_out,
        "settings": {"compare": config.compare, "diffusion": config.diffusion},
        "rows": len(y),
        "dataset_digest": dataset.digest,
        "model_digest": sha256(out / MODEL),
    }
    write_json(out / ABOUT, about)
    return about


def _calibrate(trial: Fitted, held: Rows, model: str) -> dict[str, Any]:
    """Temperature and threshold, on rows that the trial model has not seen; the final model takes them over."""
    probabilities, anomaly = trial.score(held.x)
    even = np.ones(len(held.y))
    warmth = 1.0 if model in ANOMALY else temperature(held.y, probabilities, even)
    after = calibrated(probabilities, warmth) if model not in ANOMALY else probabilities
    table = metrics.confusion(held.y, probabilities.argmax(axis=1).astype(np.int64), held.classes)
    threshold = float(np.float32(np.quantile(anomaly[held.y == held.benign], 1 - UNUSUAL)))
    return {
        "thresholds": {"anomaly": threshold},
        "calibration": {
            "method": "softmax(ln p / temperature), temperature by log loss on a held-out fold of 5-tuples",
            "temperature": round(warmth, 6),
            "error_before": round(metrics.calibration_error(held.y, probabilities, even), 5),
            "error_after": round(metrics.calibration_error(held.y, after, even), 5),
            "held_out_rows": len(held.y),
            "held_out_macro_f1": round(metrics.macro_f1(table), 5),
        },
        "anomaly": f"unusual from the score that {UNUSUAL:.0%} of held-out benign rows reach",
    }


def _parity(session: Session, fitted: Fitted, x: F32, warmth: float) -> float:
    """The share of rows on which graph and library disagree; few, at borders of trees, are let pass."""
    probabilities, anomaly = fitted.score(x)
    found, strange = session.score(x)
    due = calibrated(probabilities, warmth) if warmth != 1.0 else probabilities
    apart = np.abs(found - due).max(axis=1) > _APART
    apart |= np.abs(strange - anomaly) > 10 * _APART * np.maximum(1.0, np.abs(anomaly))
    share = float(apart.mean())
    if share > _APART_SHARE:
        raise TrainerError(f"the graph differs from the library on {share:.2%} of rows")
    return round(share, 6)
