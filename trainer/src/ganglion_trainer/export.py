"""`export` of the laboratory's model: the bundle for live flows."""

from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import classes, manifest
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.inputs import quiet_benign

_BACKGROUND = 32
_PACKAGES = ("numpy", "scikit-learn", "onnx", "skl2onnx", "onnxruntime")
_KEEP = (
    "chosen",
    "candidates",
    "calibration",
    "anomaly",
    "onnx_apart_from_sklearn",
    "settings",
    "rows",
    "dataset_digest",
)


def export(dataset: Dataset, trained_folder: Path, config: Config, out: Path, commands: list[str]) -> dict[str, Any]:
    """Writes the bundle and checks it by loading it again; returns the manifest."""
    trained = Trained(trained_folder)
    arrays = dataset.split("train")
    arrays = arrays.take(np.isin(arrays.y, trained.classes))
    made = manifest.Bundle(
        trained,
        config.bundle["id"],
        config.bundle["version"],
        "ganglion",
        np.ascontiguousarray(arrays.x[:, trained.columns(dataset)]),
        arrays.y,
        quiet_benign(arrays, dataset.origins),
        config.train["seed"],
        _BACKGROUND,
        _metrics(trained),
        _training(dataset, trained, commands),
    )
    return manifest.write(made, out)


def _metrics(trained: Trained) -> dict[str, Any]:
    chosen = trained.about["candidates"][trained.about["chosen"]]
    return {"cross_validation": {**chosen, "weighted": True}, "held_out": manifest.held_out(trained)}


def _training(dataset: Dataset, trained: Trained, commands: list[str]) -> dict[str, Any]:
    missing = [name for number, name in enumerate(classes.NAMES) if number not in trained.classes]
    return {
        "commands": commands,
        "recordings": [
            {key: run[key] for key in ("name", "scenario", "split", "seed", "rows", "dropped", "sha256")}
            for run in dataset.runs
        ],
        "table_digest": dataset.table_digest,
        **{key: trained.about[key] for key in _KEEP},
        "classes_left_empty": missing,
        "quantiles": manifest.QUANTILES,
        "made_with": manifest.made_with(_PACKAGES),
    }
