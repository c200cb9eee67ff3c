"""`export` of a single model: the bundle that the brain loads, with what it takes to watch and explain it."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import __version__, classes
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import METRICS, Trained
from ganglion_trainer.export import MANIFEST, MODEL, check, floats, quantiles, self_test_rows
from ganglion_trainer.files import field, read_json, write_json
from ganglion_trainer.graph import Session

_FORMAT = 1
_BACKGROUND = 48
_PACKAGES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "torch", "xgboost-cpu")
_KEEP = (
    "chosen",
    "seed",
    "hyper",
    "trials",
    "parameters",
    "rule",
    "calibration",
    "anomaly",
    "onnx_apart",
    "class_rows",
    "left_out",
    "settings",
    "rows",
    "dataset_digest",
)


def export(
    dataset: Dataset, folder: Path, names: tuple[str, str], comparison: Path | None, out: Path, command: str
) -> dict[str, Any]:
    """Writes the bundle of id and version `names`, and checks it by loading it again; returns the manifest."""
    trained = Trained(folder)
    if dataset.digest != trained.about["dataset_digest"]:
        raise TrainerError(f"{folder}: trained on another data set than this one")
    arrays = dataset.split("train")
    arrays = arrays.take(np.isin(arrays.y, trained.classes))
    x = np.ascontiguousarray(arrays.x[:, trained.columns(dataset)])
    session = Session(trained.model, MODEL)
    rng = np.random.default_rng(trained.about["seed"])
    rows = self_test_rows(session, x, arrays.y, trained.classes, rng)
    probabilities, anomaly = session.score(rows)
    benign = x[arrays.y == classes.BENIGN]
    background = benign[np.sort(rng.choice(len(benign), min(_BACKGROUND, len(benign)), replace=False))]
    manifest = {
        "format": _FORMAT,
        "id": names[0],
        "version": names[1],
        "kind": "classifier",
        "profile": dataset.profile,
        "features": trained.features,
        "classes": trained.classes,
        "thresholds": {"anomaly": trained.threshold},
        "quantiles": quantiles(trained, session, benign),
        "background": [floats(row) for row in background],
        "self_test": {
            "rows": [floats(row) for row in rows],
            "probabilities": [floats(row) for row in probabilities],
            "anomaly": floats(anomaly),
        },
        "metrics": _metrics(folder, trained, comparison),
        "training": _training(dataset, trained, command),
        "digests": {MODEL: trained.about["model_digest"]},
        "signature": None,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL).write_bytes(trained.model)
    write_json(out / MANIFEST, manifest)
    check(out)
    return manifest


def _metrics(folder: Path, trained: Trained, comparison: Path | None) -> dict[str, Any]:
    """Figures of the comparison, and of rows set aside where there are some."""
    result: dict[str, Any] = {"cross_validation": None, "leave_one_out": None, "held_out": None}
    if comparison is not None:
        whole = read_json(comparison)
        if field(whole, "dataset_digest", str, str(comparison)) != trained.about["dataset_digest"]:
            raise TrainerError(f"{comparison}: compares models on another data set")
        mine = trained.about["chosen"]
        keep = (
            "seeds",
            "macro_f1",
            "macro_f1_low",
            "macro_f1_high",
            "per_seed",
            "f1",
            "confusion",
            "calibration_error",
        )
        entries = [own for own in field(whole, "results", list, str(comparison)) if own.get("model") == mine]
        result["cross_validation"] = {own["split"]: {key: own[key] for key in keep} for own in entries}
        left = [own for own in whole.get("leave_one_out", []) if own.get("model") == mine]
        result["leave_one_out"] = left[0] if left else None
    path = folder / METRICS
    if path.exists():
        held_out = read_json(path)
        if held_out.pop("model_digest", None) != trained.about["model_digest"]:
            raise TrainerError(f"{path}: of another model: evaluate it anew")
        result["held_out"] = held_out
    return result


def _training(dataset: Dataset, trained: Trained, command: str) -> dict[str, Any]:
    installed = {own.metadata["Name"].lower() for own in metadata.distributions()}
    return {
        "commands": [own for own in (trained.about.get("command"), command) if own],
        "tables": [
            {key: run[key] for key in ("name", "split", "rows", "sha256") if key in run} for run in dataset.runs
        ],
        **{key: trained.about[key] for key in _KEEP},
        "quantiles": "0, 10, …, 100 % of benign training rows, of inputs and of scores",
        "made_with": {
            "ganglion-trainer": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES if name in installed},
        },
    }
