"""Curves behind the pictures: ROC, precision and recall, calibration, and scores per stage."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from ganglion_trainer import metrics
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import STAGES
from ganglion_trainer.inputs import F64
from ganglion_trainer.report.results import Comparison, Scores

# Points kept of a curve: more than a picture shows.
_POINTS = 600
BINS = 15
# A bin, or a class at a stage, with fewer rows is noise and no point.
_LEAST_ROWS = 10


@dataclass(frozen=True)
class Curve:
    """A line of a picture, and the area below it."""

    label: int
    x: F64
    y: F64
    area: float


def _thinned(x: F64, y: F64) -> tuple[F64, F64]:
    """Where the line bends, and evenly many points between."""
    if len(x) <= _POINTS:
        return x, y
    length = np.r_[0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    even = np.searchsorted(length, np.linspace(0, length[-1], _POINTS // 2))
    ranks = np.geomspace(1, len(x), _POINTS // 2).astype(np.int64) - 1
    keep = np.unique(np.r_[0, even, ranks, len(x) - 1 - ranks, len(x) - 1].clip(0, len(x) - 1))
    return x[keep], y[keep]


def roc(scores: Scores, classes: list[int]) -> list[Curve]:
    """Per class, one against the rest: false against true positives."""
    curves = []
    for place, label in enumerate(classes):
        truth = scores.y == label
        if truth.any() and not truth.all():
            wrong, right, _ = roc_curve(truth, scores.proba[:, place], drop_intermediate=True)
            area = float(roc_auc_score(truth, scores.proba[:, place]))
            curves.append(Curve(label, *_thinned(wrong, right), area))
    return curves


def precision_recall(scores: Scores, classes: list[int]) -> list[Curve]:
    """Per class, one against the rest: recall against precision."""
    curves = []
    for place, label in enumerate(classes):
        truth = scores.y == label
        if truth.any() and not truth.all():
            precision, recall, _ = precision_recall_curve(truth, scores.proba[:, place], drop_intermediate=True)
            area = float(average_precision_score(truth, scores.proba[:, place]))
            curves.append(Curve(label, *_thinned(recall[::-1], precision[::-1]), area))
    return curves


@dataclass(frozen=True)
class Reliability:
    """Per bin of confidence: what was claimed, what came true, how many rows."""

    claimed: F64
    true: F64
    rows: F64
    error: float


def reliability(scores: Scores, classes: list[int]) -> Reliability:
    """Of the likeliest class."""
    truth = np.searchsorted(classes, scores.y).astype(np.int64)
    confidence = np.asarray(scores.proba.max(axis=1), dtype=np.float64)
    right = (scores.proba.argmax(axis=1) == truth).astype(np.float64)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(place, minlength=BINS).astype(np.float64)
    some = rows >= _LEAST_ROWS
    sums = [np.bincount(place, values, BINS)[some] / rows[some] for values in (confidence, right)]
    error = metrics.calibration_error(truth, scores.proba, np.ones(len(truth)))
    return Reliability(sums[0], sums[1], rows[some], error)


def per_stage(comparison: Comparison, scores: Scores, data: Dataset) -> dict[str, dict[str, Any]]:
    """For each stage of flows: macro F1 over the classes with rows enough, which are named, with their recall."""
    arrays = data.split("train")
    arrays = arrays.take(np.isin(arrays.y, comparison.classes))
    if len(arrays.y) != len(scores.y) or not np.array_equal(arrays.y, scores.y):
        return {}
    truth = np.searchsorted(comparison.classes, scores.y).astype(np.int64)
    found = scores.proba.argmax(axis=1)
    count, made = len(comparison.classes), {}
    for number, stage in enumerate(STAGES):
        mine = arrays.stage == number
        if mine.any():
            table = metrics.confusion(truth[mine], found[mine], count)
            rows = table.sum(axis=1)
            judged = np.flatnonzero(rows >= _LEAST_ROWS)
            if len(judged):
                made[stage] = {
                    "rows": int(mine.sum()),
                    "macro_f1": float(np.mean(metrics.f1(table)[judged])),
                    "recall": {comparison.names[at]: float(table[at, at] / rows[at]) for at in judged},
                }
    return made
