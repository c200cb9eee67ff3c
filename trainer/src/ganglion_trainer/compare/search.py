"""The search for hyper-parameters: the same number of trials for every model, inside the training part of a fold."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ganglion_trainer.calibrate import loss, temperature
from ganglion_trainer.contract import Hyper, Maker, Rows
from ganglion_trainer.derived import I64
from ganglion_trainer.metrics import auroc

# Of the rows of the search, this share judges.
_JUDGES = 0.25


@dataclass(frozen=True)
class Found:
    """What the search settled on."""

    hyper: Hyper
    # For calibration; 1 for models that only tell what is unusual.
    temperature: float
    trials: int


def search(maker: Maker, rows: Rows, settings: dict[str, Any], seed: int) -> Found:
    """The best of the trials by balanced log loss, or by AUROC for models of anomalies."""
    random = np.random.default_rng([seed, 77])
    part = _some(rows.y, settings["search_rows"], random)
    lot = random.permutation(part)
    learn, judge = _apart(rows.y, lot)
    inner, held = rows.take(np.sort(learn)), rows.take(np.sort(judge))
    weight = held.weights(0.0)
    best: tuple[float, Hyper, float] | None = None
    for trial in range(settings["trials"]):
        hyper = maker.draw(random)
        fitted = maker.fit(inner, hyper, seed + trial, settings["search_effort"])
        probabilities, anomaly = fitted.score(held.x)
        warmth = 1.0
        if maker.family == "anomaly":
            benign = held.y == held.benign
            value = -auroc(anomaly[benign], anomaly[~benign])
        else:
            warmth = temperature(held.y, probabilities, weight)
            value = loss(held.y, probabilities, weight, warmth)
        if best is None or value < best[0]:
            best = (value, hyper, warmth)
    assert best is not None
    return Found(best[1], best[2], settings["trials"])


def _some(y: I64, most: int, random: np.random.Generator) -> I64:
    """At most so many rows, as many of each class as there is room for: rare classes stay whole."""
    counts = np.bincount(y)
    low, high = 0, int(counts.max())
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.minimum(counts, middle).sum()) <= most:
            low = middle
        else:
            high = middle - 1
    parts = [random.permutation(np.flatnonzero(y == label))[:low] for label in np.unique(y)]
    return np.concatenate(parts)


def _apart(y: I64, lot: I64) -> tuple[I64, I64]:
    """Rows to learn from and rows to judge by, class by class; a class of one row is learned from."""
    learn, judge = [], []
    for label in np.unique(y[lot]):
        mine = lot[y[lot] == label]
        count = int(len(mine) * _JUDGES)
        judge.append(mine[:count])
        learn.append(mine[count:])
    return np.concatenate(learn), np.concatenate(judge)
