"""The pieces of a comparison: one fold of one model, and one class left out for one model."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganglion_trainer import splits, watched
from ganglion_trainer.calibrate import calibrated
from ganglion_trainer.classes import BENIGN
from ganglion_trainer.compare.registry import maker
from ganglion_trainer.compare.results import Store, Values
from ganglion_trainer.compare.search import search
from ganglion_trainer.config import Config
from ganglion_trainer.contract import Hyper, Rows, curve
from ganglion_trainer.dataset import Arrays
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.progress import say

# Folds of a class left out: benign rows of the first judge, those of the second choose the rule.
JUDGE, CHOOSE = 0, 1


@dataclass(frozen=True)
class Task:
    """Rows, and how they are compared."""

    arrays: Arrays
    # The inputs among the columns.
    x: F32
    features: tuple[str, ...]
    classes: list[int]
    config: Config
    store: Store

    def rows(self, at: I64, classes: list[int]) -> Rows:
        """Training rows; their classes numbered anew."""
        y = np.searchsorted(classes, self.arrays.y[at]).astype(np.int64)
        x = np.ascontiguousarray(self.x[at])
        return Rows(x, y, len(classes), classes.index(BENIGN), self.features)

    def watched(self, at: I64, learned: I64, seed: int) -> watched.Watched | None:
        """Some of the rows held out, to see how training goes."""
        y = np.searchsorted(self.classes, self.arrays.y[at]).astype(np.int64)
        return watched.some(self.x[at], y, learned, seed)

    def fold_of(self, split: splits.How, seed: int) -> splits.I8:
        """The folds of a split; another seed deals other folds."""
        return splits.folds(self.arrays, split, self.config.compare["folds"], seed)


def fold(task: Task, model: str, split: splits.How, seed: int, number: int) -> tuple[Values, dict[str, Any]]:
    """Searches, trains and scores one fold, unless that was done."""
    name = f"parts/{model}.{split}.{seed}.{number}"
    kept = task.store.get(name)
    if kept is not None:
        return kept
    where = task.fold_of(split, seed)
    learn, held = np.flatnonzero(where != number), np.flatnonzero(where == number)
    started = time.perf_counter()
    rows, own = task.rows(learn, task.classes), maker(model, task.config)
    inner = seed * 1000 + number
    found = search(own, rows, task.config.compare, inner)
    searched = time.perf_counter() - started
    fitted = own.fit(replace(rows, watched=task.watched(held, rows.y, inner)), found.hyper, inner, 1.0)
    seconds = time.perf_counter() - started - searched
    proba, anomaly = fitted.score(np.ascontiguousarray(task.x[held]))
    if own.family != "anomaly":
        proba = calibrated(proba, found.temperature).astype(np.float32)
    notes: dict[str, Any] = {
        "hyper": found.hyper,
        "temperature": round(found.temperature, 5),
        "trials": found.trials,
        "train_seconds": round(seconds, 2),
        "search_seconds": round(searched, 2),
        "parameters": fitted.parameters(),
    }
    noted = curve(fitted)
    if noted is not None:
        notes["curve"] = noted
    if number == 0 and seed == 1:
        notes["bytes"] = len(fitted.onnx().SerializeToString())
    values: Values = {"at": held, "proba": proba, "anomaly": anomaly}
    task.store.put(name, values, notes)
    right = float((proba.argmax(axis=1) == np.searchsorted(task.classes, task.arrays.y[held])).mean())
    say(f"{model}, {split}, seed {seed}, fold {number}: accuracy {right:.5f}, {searched:.0f} + {seconds:.0f} s")
    return values, notes


def left_out(task: Task, model: str, label: int, seed: int, hyper: Hyper) -> tuple[Values, dict[str, Any]]:
    """Trains without a class; scores its rows and held-out benign ones by every look of the model."""
    name = f"parts/loo.{model}.{label}.{seed}"
    kept = task.store.get(name)
    if kept is not None:
        return kept
    where = task.fold_of("grouped", seed)
    learn, unknown, benign = splits.without_class(task.arrays, where, label, JUDGE)
    # The fold that the rule is chosen on is not learned from either, as far as benign rows go.
    choose = (task.arrays.y == BENIGN) & (where == CHOOSE)
    learn &= ~choose
    classes = [own for own in task.classes if own != label and (task.arrays.y[learn] == own).any()]
    if len(classes) < 2 or BENIGN not in classes:
        raise TrainerError("too few rows to leave a class out: Benign and an attack must be left in three folds")
    started = time.perf_counter()
    own = maker(model, task.config)
    at = np.flatnonzero(learn & np.isin(task.arrays.y, classes))
    fitted = own.fit(task.rows(at, classes), hyper, seed * 1000 + 500 + label, 1.0)
    scored = np.flatnonzero(unknown | benign | choose)
    looks = fitted.looks(np.ascontiguousarray(task.x[scored]))
    values: Values = {
        "looks": np.stack(list(looks.values())).astype(np.float32),
        "unknown": unknown[scored],
        # Benign rows by their fold; of unknown rows that fold too.
        "chooses": where[scored] == CHOOSE,
    }
    notes = {"names": list(looks), "seconds": round(time.perf_counter() - started, 2)}
    task.store.put(name, values, notes)
    say(f"{model} without class {label}, seed {seed}: {notes['seconds']:.0f} s")
    return values, notes
