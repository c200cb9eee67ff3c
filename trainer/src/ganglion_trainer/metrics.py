"""How good scores are: per class, per stage, per attack, per benign host."""

from typing import Any

import numpy as np

from ganglion_trainer import classes as names
from ganglion_trainer.dataset import Arrays
from ganglion_trainer.derived import F32, I64, STAGES, Bool
from ganglion_trainer.inputs import F64

# A verdict takes this much, by the shipped playbook; and this many flows at least.
CONFIDENT = 0.7
FLOWS = 3
_BINS = 15


def confusion(truth: I64, found: I64, count: int, weight: F64 | None = None) -> F64:
    """Rows: truth; columns: found."""
    table = np.bincount(truth * count + found, weights=weight, minlength=count * count)
    return np.asarray(table, dtype=np.float64).reshape(count, count)


def f1(table: F64) -> F64:
    """F1 per class; NaN where a class has no rows."""
    hits = np.diag(table)
    both = table.sum(axis=0) + table.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = 2 * hits / both
    return np.asarray(np.where(table.sum(axis=1) > 0, scores, np.nan))


def macro_f1(table: F64) -> float:
    """Mean over the classes that have rows."""
    scores = f1(table)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0


def log_loss(truth: I64, probabilities: F64 | F32, weight: F64) -> float:
    """Weighted mean of −ln p(truth)."""
    own = np.clip(np.asarray(probabilities, dtype=np.float64)[np.arange(len(truth)), truth], 1e-9, 1.0)
    return float(np.average(-np.log(own), weights=weight))


def calibration_error(truth: I64, probabilities: F64 | F32, weight: F64) -> float:
    """Expected calibration error of the likeliest class, in 15 bins."""
    best = probabilities.argmax(axis=1)
    confidence = np.asarray(probabilities.max(axis=1), dtype=np.float64)
    place = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    right = (best == truth).astype(np.float64)
    total = np.bincount(place, weight, _BINS)
    gap = np.abs(np.bincount(place, weight * right, _BINS) - np.bincount(place, weight * confidence, _BINS))
    return float(gap[total > 0].sum() / max(total.sum(), 1e-12))


def report(arrays: Arrays, truth: I64, probabilities: F32, anomaly: F32, about: "About") -> dict[str, Any]:
    """Everything `evaluate` prints and the manifest keeps. `truth` counts in columns of `probabilities`."""
    count = len(about.classes)
    found = probabilities.argmax(axis=1)
    table = confusion(truth, found, count)
    even = np.ones(len(truth))
    stages = {}
    for stage, name in enumerate(STAGES):
        mine = arrays.stage == stage
        if mine.any():
            own = confusion(truth[mine], found[mine], count)
            stages[name] = {"rows": int(mine.sum()), "macro_f1": _round(macro_f1(own)), "recall": _recalls(own, about)}
    benign = truth == about.benign
    return {
        "rows": len(truth),
        "macro_f1": _round(macro_f1(table)),
        "accuracy": _round(float((found == truth).mean())),
        "log_loss": _round(log_loss(truth, probabilities, even)),
        "calibration_error": _round(calibration_error(truth, probabilities, even)),
        "per_class": _per_class(table, about),
        "confusion": {"classes": [names.name(c) for c in about.classes], "rows": table.astype(int).tolist()},
        "per_stage": stages,
        "per_attack": _per_attack(arrays, truth, probabilities, about),
        "benign": _benign(arrays, benign, probabilities, anomaly, about),
        "unknown_auroc": _round(auroc(anomaly[benign], anomaly[~benign])),
    }


class About:
    """What the columns and numbers mean."""

    def __init__(self, classes: list[int], origins: list[str], episodes: list[str], threshold: float) -> None:
        self.classes = classes
        self.benign = classes.index(names.BENIGN)
        self.origins = origins
        self.episodes = episodes
        self.threshold = threshold


def auroc(low: F32, high: F32) -> float:
    """How often a row of `high` scores above one of `low`."""
    if not len(low) or not len(high):
        return float("nan")
    order = np.sort(low)
    below = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(below.mean() / (2 * len(low)))


def _round(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None


def _recalls(table: F64, about: About) -> dict[str, float | None]:
    rows = table.sum(axis=1)
    return {names.name(label): _round(float(table[i, i] / rows[i])) for i, label in enumerate(about.classes) if rows[i]}


def _per_class(table: F64, about: About) -> dict[str, Any]:
    scores, result = f1(table), {}
    for i, label in enumerate(about.classes):
        support, claimed = table[i].sum(), table[:, i].sum()
        result[names.name(label)] = {
            "rows": int(support),
            "precision": _round(float(table[i, i] / claimed)) if claimed else None,
            "recall": _round(float(table[i, i] / support)) if support else None,
            "f1": _round(float(scores[i])),
        }
    return result


def _per_attack(arrays: Arrays, truth: I64, probabilities: F32, about: About) -> dict[str, Any]:
    """Per attack of the scenario: rows, recall, recall at the playbook's confidence."""
    own = probabilities[np.arange(len(truth)), truth]
    right = probabilities.argmax(axis=1) == truth
    result = {}
    for number, origin in enumerate(about.origins):
        mine = (arrays.origin == number) & (truth != about.benign)
        if mine.any():
            result[origin] = {
                "class": names.name(about.classes[int(truth[mine][0])]),
                "runs": len(np.unique(arrays.episode[mine])),
                "rows": int(mine.sum()),
                "recall": _round(float(right[mine].mean())),
                "recall_confident": _round(float((right & (own >= CONFIDENT))[mine].mean())),
            }
    return result


def _benign(arrays: Arrays, benign: Bool, probabilities: F32, anomaly: F32, about: About) -> dict[str, Any]:
    """False alarms: rows taken for one attack class with confidence, and hosts with several such flows."""
    attack = np.delete(probabilities, about.benign, axis=1)
    alarm = benign & (attack.max(axis=1) >= CONFIDENT)
    result: dict[str, Any] = {
        "rows": int(benign.sum()),
        "false_alarms": int(alarm.sum()),
        "rate": _round(float(alarm.sum() / max(benign.sum(), 1))),
        "unusual_rate": _round(float((anomaly[benign] >= about.threshold).mean())) if benign.any() else None,
    }
    hosts = {(int(run), int(host)) for run, host in zip(arrays.run[alarm], arrays.host[alarm], strict=True)}
    several = 0
    for run, host in hosts:
        mine = alarm & (arrays.run == run) & (arrays.host == host)
        several += len(np.unique(arrays.group[mine])) >= FLOWS
    result["hosts"] = len({*zip(arrays.run[benign].tolist(), arrays.host[benign].tolist(), strict=True)})
    result["hosts_with_3_false_flows"] = several
    by_origin = {}
    for number, origin in enumerate(about.origins):
        mine = (arrays.origin == number) & benign
        if mine.any():
            by_origin[origin] = {"rows": int(mine.sum()), "false_alarms": int((alarm & mine).sum())}
    result["per_origin"] = by_origin
    return result


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def render(title: str, metrics: dict[str, Any]) -> str:
    """The report as text."""
    lines = [
        f"{title}: {metrics['rows']} rows, macro F1 {metrics['macro_f1']}, accuracy {metrics['accuracy']}, "
        f"log loss {metrics['log_loss']}, calibration error {metrics['calibration_error']}, "
        f"AUROC of anomaly {metrics['unknown_auroc']}",
        "",
        f"{'class':<14}{'rows':>8}{'precision':>11}{'recall':>9}{'F1':>9}   confusion (columns as rows)",
    ]
    for (name, own), row in zip(metrics["per_class"].items(), metrics["confusion"]["rows"], strict=True):
        cells = "".join(f"{cell:>7}" for cell in row)
        lines.append(
            f"{name:<14}{own['rows']:>8}{_text(own['precision']):>11}{_text(own['recall']):>9}{_text(own['f1']):>9}"
            f"  {cells}"
        )
    lines += ["", f"{'stage':<14}{'rows':>8}{'macro F1':>11}"]
    for name, own in metrics["per_stage"].items():
        lines.append(f"{name:<14}{own['rows']:>8}{_text(own['macro_f1']):>11}")
    lines += ["", f"{'attack':<16}{'class':<14}{'runs':>5}{'rows':>8}{'recall':>9}{'at 0.7':>9}"]
    for name, own in metrics["per_attack"].items():
        lines.append(
            f"{name:<16}{own['class']:<14}{own['runs']:>5}{own['rows']:>8}"
            f"{_text(own['recall']):>9}{_text(own['recall_confident']):>9}"
        )
    benign = metrics["benign"]
    lines += [
        "",
        f"benign: {benign['false_alarms']} false alarms in {benign['rows']} rows; "
        f"{benign['hosts_with_3_false_flows']} of {benign['hosts']} hosts with 3 such flows or more; "
        f"unusual {_text(benign['unusual_rate'])}",
        "  " + ", ".join(f"{name} {own['false_alarms']}/{own['rows']}" for name, own in benign["per_origin"].items()),
    ]
    return "\n".join(lines)
