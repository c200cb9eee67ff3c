"""`export`: the bundle that the brain loads, `model.onnx` and `manifest.json`."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import __version__, classes
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import METRICS, Trained
from ganglion_trainer.files import read_json, sha256, write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.inputs import quiet_benign

MANIFEST = "manifest.json"
MODEL = "model.onnx"
_FORMAT = 1
_SELF_TEST_PER_CLASS = 3
_BACKGROUND = 32
# Deciles: the quantiles 0, 0.1, …, 1.
_QUANTILES = np.linspace(0.0, 1.0, 11)
# Of what self-tests allow; a row whose answers move more under rounding noise is no self-test.
_STEADY = 2e-4
_PACKAGES = ("numpy", "scikit-learn", "onnx", "skl2onnx", "onnxruntime")


def export(dataset: Dataset, trained_folder: Path, config: Config, out: Path, commands: list[str]) -> dict[str, Any]:
    """Writes the bundle and checks it by loading it again; returns the manifest."""
    trained = Trained(trained_folder)
    arrays = dataset.split("train")
    arrays = arrays.take(np.isin(arrays.y, trained.classes))
    x = np.ascontiguousarray(arrays.x[:, trained.columns(dataset)])
    quiet = np.flatnonzero(quiet_benign(arrays, dataset.origins))
    session = Session(trained.model, MODEL)
    rng = np.random.default_rng(config.train["seed"])
    rows = self_test_rows(session, x, arrays.y, trained.classes, rng)
    probabilities, anomaly = session.score(rows)
    background = x[np.sort(rng.choice(quiet, min(_BACKGROUND, len(quiet)), replace=False))]
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL).write_bytes(trained.model)
    manifest = {
        "format": _FORMAT,
        "id": config.bundle["id"],
        "version": config.bundle["version"],
        "kind": "classifier",
        "profile": "ganglion",
        "features": trained.features,
        "classes": trained.classes,
        "thresholds": {"anomaly": trained.threshold},
        "quantiles": quantiles(trained, session, x[quiet]),
        "background": [floats(row) for row in background],
        "self_test": {
            "rows": [floats(row) for row in rows],
            "probabilities": [floats(row) for row in probabilities],
            "anomaly": floats(anomaly),
        },
        "metrics": _metrics(trained_folder, trained),
        "training": _training(dataset, trained, commands),
        "digests": {MODEL: sha256(out / MODEL)},
        "signature": None,
    }
    write_json(out / MANIFEST, manifest)
    check(out)
    return manifest


def check(folder: Path) -> None:
    """What the brain's loader checks, so that a bad bundle is found where it is made."""
    manifest = read_json(folder / MANIFEST)
    if sha256(folder / MODEL) != manifest["digests"][MODEL]:
        raise TrainerError(f"{folder / MODEL}: not the file that the manifest was made for")
    test = manifest["self_test"]
    rows = np.array(test["rows"], dtype=np.float32)
    session = Session((folder / MODEL).read_bytes(), str(folder / MODEL))
    for batch in (rows, rows[:1]):
        probabilities, anomaly = session.score(batch)
        due = np.array(test["probabilities"], dtype=np.float32)[: len(batch)]
        if probabilities.shape != due.shape or anomaly.shape != (len(batch),):
            raise TrainerError(f"{folder}: the model breaks the contract: {probabilities.shape}, {anomaly.shape}")
        noted = np.array(test["anomaly"], dtype=np.float32)[: len(batch)]
        far = np.abs(anomaly - noted) > 1e-3 * np.maximum(np.abs(noted), 1)
        if np.abs(probabilities - due).max() > 1e-3 or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3 or far.any():
            raise TrainerError(f"{folder}: fails its self-test")


def floats(values: np.ndarray[Any, Any]) -> list[float]:
    """Exactly these numbers; whole ones without a point."""
    return [int(value) if value == int(value) and abs(value) < 1e15 else value for value in map(float, values)]


def quantiles(trained: Trained, session: Session, benign: F32) -> dict[str, list[float]]:
    """Of inputs and of scores, over benign training rows: what drift is measured against."""
    wide = np.quantile(benign.astype(np.float64), _QUANTILES, axis=0)
    found = {name: floats(wide[:, at]) for at, name in enumerate(trained.features)}
    probabilities, anomaly = session.score(np.ascontiguousarray(benign))
    found["score:anomaly"] = floats(np.quantile(anomaly.astype(np.float64), _QUANTILES))
    for at, label in enumerate(trained.classes):
        found[f"score:{label}"] = floats(np.quantile(probabilities[:, at].astype(np.float64), _QUANTILES))
    return found


def self_test_rows(
    session: Session, x: F32, y: "np.ndarray[Any, Any]", own: list[int], rng: np.random.Generator
) -> F32:
    """Rows of every class, none of them at a border where another processor's last bit decides."""
    probabilities, _ = session.score(x)
    steady = np.ones(len(x), dtype=bool)
    for factor in (1 - 1e-6, 1 + 1e-6):
        moved, _ = session.score((x * np.float32(factor)).astype(np.float32))
        steady &= np.abs(moved - probabilities).max(axis=1) < _STEADY
    picked: list[I64] = []
    for label in own:
        candidates = np.flatnonzero((y == label) & steady)
        if not len(candidates):
            raise TrainerError(f"class {classes.name(label)}: no row is steady enough for a self-test")
        picked.append(np.sort(rng.choice(candidates, min(_SELF_TEST_PER_CLASS, len(candidates)), replace=False)))
    return np.ascontiguousarray(x[np.concatenate(picked)])


def _metrics(folder: Path, trained: Trained) -> dict[str, Any]:
    chosen = trained.about["candidates"][trained.about["chosen"]]
    result: dict[str, Any] = {"cross_validation": {**chosen, "weighted": True}, "held_out": None}
    path = folder / METRICS
    if path.exists():
        held_out = read_json(path)
        if held_out.pop("model_digest", None) != trained.about["model_digest"]:
            raise TrainerError(f"{path}: of another model: evaluate it anew")
        result["held_out"] = held_out
    return result


def _training(dataset: Dataset, trained: Trained, commands: list[str]) -> dict[str, Any]:
    about = trained.about
    missing = [name for number, name in enumerate(classes.NAMES) if number not in trained.classes]
    keep = ("chosen", "candidates", "calibration", "anomaly", "onnx_apart_from_sklearn", "settings", "rows")
    return {
        "commands": commands,
        "recordings": [
            {key: run[key] for key in ("name", "scenario", "split", "seed", "rows", "dropped", "sha256")}
            for run in dataset.runs
        ],
        "table_digest": dataset.table_digest,
        **{key: about[key] for key in keep},
        "classes_left_empty": missing,
        "quantiles": "0, 10, …, 100 % of benign training rows, of inputs and of scores",
        "made_with": {
            "ganglion-trainer": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
    }
