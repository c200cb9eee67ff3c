"""Pooled out-of-fold scores of a model: written to files, summed up with intervals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import metrics
from ganglion_trainer.classes import name
from ganglion_trainer.compare import bootstrap
from ganglion_trainer.compare.results import Values
from ganglion_trainer.compare.work import Task
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.errors import TrainerError


@dataclass(frozen=True)
class Pooled:
    """All rows of a data set, each scored by a model that had not seen it."""

    proba: F32
    anomaly: F32
    fold: "np.ndarray[Any, np.dtype[np.int8]]"


def pool(task: Task, parts: list[Values]) -> Pooled:
    """Folds put together."""
    rows = len(task.arrays.y)
    made = Pooled(
        np.zeros((rows, len(task.classes)), dtype=np.float32),
        np.zeros(rows, dtype=np.float32),
        np.full(rows, -1, dtype=np.int8),
    )
    for number, part in enumerate(parts):
        made.proba[part["at"]], made.anomaly[part["at"]], made.fold[part["at"]] = part["proba"], part["anomaly"], number
    if (made.fold < 0).any():
        raise TrainerError(f"{int((made.fold < 0).sum())} rows were held out in no fold")
    return made


def write(task: Task, own: Pooled, out: Path, model: str, split: str, seed: int) -> str:
    """`oof/MODEL.SPLIT.SEED.npz`; its name."""
    name_of = f"oof/{model}.{split}.{seed}.npz"
    path = out / name_of
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        y = task.arrays.y.astype(np.uint8)
        np.savez_compressed(path, proba=own.proba, anomaly=own.anomaly, y=y, fold=own.fold, allow_pickle=False)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    return name_of


def judged(task: Task) -> list[int]:
    """Positions of the classes that macro F1 is judged over."""
    counts = [int((task.arrays.y == label).sum()) for label in task.classes]
    return [at for at, count in enumerate(counts) if count >= task.config.compare["judged_rows"]]


def summary(task: Task, pooled: list[Pooled]) -> dict[str, Any]:
    """Scores over seeds with their intervals."""
    truth: I64 = np.searchsorted(task.classes, task.arrays.y).astype(np.int64)
    count, mine = len(task.classes), judged(task)
    found = [own.proba.argmax(axis=1).astype(np.int64) for own in pooled]
    draws = bootstrap.draw(truth, found, count, task.config.compare["draws"])
    tables = bootstrap.tables(truth, found, count)
    scores = bootstrap.f1_scores(tables)
    low, high = bootstrap.interval(draws.macro(mine))
    even = np.ones(len(truth))
    result: dict[str, Any] = {
        "macro_f1": round(float(scores[:, mine].mean()), 5),
        "macro_f1_low": round(low, 5),
        "macro_f1_high": round(high, 5),
        "macro_f1_all": round(float(scores.mean()), 5),
        "per_seed": [round(float(own[mine].mean()), 5) for own in scores],
        "f1": {},
        "f1_low": {},
        "f1_high": {},
        "precision": {},
        "recall": {},
        "confusion": tables[0].astype(int).tolist(),
        "log_loss": round(float(np.mean([metrics.log_loss(truth, own.proba, even) for own in pooled])), 5),
        "calibration_error": round(
            float(np.mean([metrics.calibration_error(truth, own.proba, even) for own in pooled])), 5
        ),
    }
    for at, label in enumerate(task.classes):
        low, high = bootstrap.interval(draws.f1[:, at])
        hits, claimed, rows = tables[:, at, at], tables[:, :, at].sum(axis=1), tables[:, at].sum(axis=1)
        values = {
            "f1": float(scores[:, at].mean()),
            "f1_low": low,
            "f1_high": high,
            "precision": float((hits / np.maximum(claimed, 1)).mean()),
            "recall": float((hits / np.maximum(rows, 1)).mean()),
        }
        for key, value in values.items():
            result[key][name(label)] = round(value, 5)
    return result
