"""`export` of a single model: the bundle that the brain loads, with what it takes to watch and explain it."""

from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import classes, manifest
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.files import field, read_json

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
    made = manifest.Bundle(
        trained,
        *names,
        dataset.profile,
        np.ascontiguousarray(arrays.x[:, trained.columns(dataset)]),
        arrays.y,
        arrays.y == classes.BENIGN,
        trained.about["seed"],
        _BACKGROUND,
        _metrics(trained, comparison),
        _training(dataset, trained, command),
    )
    return manifest.write(made, out)


def _metrics(trained: Trained, comparison: Path | None) -> dict[str, Any]:
    """Figures of the comparison, and of rows set aside where there are some."""
    result: dict[str, Any] = {"cross_validation": None, "leave_one_out": None, "held_out": manifest.held_out(trained)}
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
    return result


def _training(dataset: Dataset, trained: Trained, command: str) -> dict[str, Any]:
    return {
        "commands": [own for own in (trained.about.get("command"), command) if own],
        "tables": [
            {key: run[key] for key in ("name", "split", "rows", "sha256") if key in run} for run in dataset.runs
        ],
        **{key: trained.about[key] for key in _KEEP},
        "quantiles": manifest.QUANTILES,
        "made_with": manifest.made_with(_PACKAGES),
    }
