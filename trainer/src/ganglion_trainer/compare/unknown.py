"""Unknown attacks: every class is left out once; one rule for all of them, chosen on rows that do not judge."""

from typing import Any

import numpy as np

from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.compare.results import Values
from ganglion_trainer.compare.work import Task, left_out
from ganglion_trainer.contract import ONLY_SHOWN, Hyper
from ganglion_trainer.derived import F32
from ganglion_trainer.metrics import auroc

_RATES = (0.01, 0.001)


def leave_one_out(task: Task, model: str, seeds: list[int], hyper: Hyper) -> dict[str, Any]:
    """The rule, and per class AUROC and true positives at low false-positive rates, means over seeds."""
    labels = [label for label in task.classes if label != BENIGN]
    found: list[list[Values]] = []
    names: list[str] = []
    for seed in seeds:
        parts = []
        for label in labels:
            values, notes = left_out(task, model, label, seed, hyper)
            names = notes["names"]
            parts.append(values)
        found.append(parts)
    choice = _best(found, [at for at, own in enumerate(names) if not own.startswith(ONLY_SHOWN)])
    classes: dict[str, Any] = {}
    for at, label in enumerate(labels):
        scores = [_judged(parts[at], choice) for parts in found]
        classes[name(label)] = {
            "rows": int((task.arrays.y == label).sum()),
            **{key: _round(float(np.mean([own[key] for own in scores]))) for key in scores[0]},
        }
    # Every rule on the judging rows too, to see what the choice cost.
    means = {
        own: _round(float(np.mean([_judged(part, at)["auroc"] for parts in found for part in parts])))
        for at, own in enumerate(names)
    }
    return {
        "model": model,
        "score": names[choice],
        "seeds": seeds,
        "mean_auroc": _round(float(np.mean([own["auroc"] for own in classes.values()]))),
        "classes": classes,
        "rules": means,
    }


def _best(found: list[list[Values]], rules: list[int]) -> int:
    """The rule of the best mean AUROC over classes on validation rows."""
    means = []
    for rule in rules:
        own = []
        for parts in found:
            for part in parts:
                high, low = _sides(part, rule, chooses=True)
                if len(high) and len(low):
                    own.append(auroc(low, high))
        means.append(float(np.mean(own)) if own else 0.0)
    return rules[int(np.argmax(means))]


def _sides(part: Values, rule: int, chooses: bool) -> tuple[F32, F32]:
    """Scores of unknown and of benign rows, of those that choose or of those that judge."""
    scores, mine = part["looks"][rule], part["chooses"] == chooses
    return scores[part["unknown"] & mine], scores[~part["unknown"] & mine]


def _judged(part: Values, rule: int) -> dict[str, float]:
    high, low = _sides(part, rule, chooses=False)
    if not len(high):
        # All rows of the class lie in the fold that chooses: rather those than none.
        high = part["looks"][rule][part["unknown"]]
    result = {"auroc": auroc(low, high)}
    for rate in _RATES:
        border = np.quantile(low, 1 - rate, method="higher")
        result[f"tpr_at_fpr_{rate:g}"] = float((high > border).mean())
    return result


def _round(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None
