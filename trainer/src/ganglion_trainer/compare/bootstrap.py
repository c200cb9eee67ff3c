"""Intervals by resampling rows; the predictions of several seeds for a row are resampled together."""

from dataclasses import dataclass

import numpy as np

from ganglion_trainer.derived import I64
from ganglion_trainer.inputs import F64
from ganglion_trainer.metrics import confusion

_SEED = 20_260_101
_LOW, _HIGH = 0.025, 0.975


@dataclass(frozen=True)
class Draws:
    """Per draw and class, means over seeds."""

    f1: F64

    def macro(self, judged: list[int]) -> F64:
        """Macro F1 over some of the classes."""
        return np.asarray(self.f1[:, judged].mean(axis=1))


def f1_scores(tables: F64) -> F64:
    """F1 per class of confusion tables; 0 where a class neither occurs nor is claimed."""
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    return np.asarray(2 * hits / np.maximum(both, 1e-12))


def draw(truth: I64, found: list[I64], classes: int, draws: int) -> Draws:
    """Resamples rows as often as asked; `found` per seed."""
    cells, counts = np.unique(np.stack([truth, *found], axis=1), axis=0, return_counts=True)
    random = np.random.default_rng(_SEED)
    resampled = random.multinomial(len(truth), counts / len(truth), size=draws)
    scores = np.zeros((draws, classes))
    for seed in range(len(found)):
        place = cells[:, 0] * classes + cells[:, seed + 1]
        spread = np.zeros((len(cells), classes * classes))
        spread[np.arange(len(cells)), place] = 1.0
        scores += f1_scores((resampled @ spread).reshape(draws, classes, classes))
    return Draws(scores / len(found))


def interval(values: F64) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.quantile(values, [_LOW, _HIGH])
    return float(low), float(high)


def tables(truth: I64, found: list[I64], classes: int) -> F64:
    """Confusion per seed."""
    return np.stack([confusion(truth, own, classes) for own in found])
