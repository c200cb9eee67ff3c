"""The pictures. Each takes numbers and gives a PNG."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from ganglion_trainer.classes import NAMES
from ganglion_trainer.inputs import F64
from ganglion_trainer.report.quality import Curve, Reliability
from ganglion_trainer.report.results import title
from ganglion_trainer.report.style import (
    ACCENT,
    CLASS_COLOURS,
    CLASS_STYLES,
    INK,
    SOFT,
    look,
    model_colours,
    png,
)

Result = dict[str, Any]
# Left end of a logarithmic axis of false positives.
_LEAST_FPR = 1e-4


def intervals(groups: list[tuple[str, list[Result]]], bar: float | None) -> bytes:
    """Macro F1 of each model with its interval, a panel per split."""
    with look():
        most = max(len(results) for _, results in groups)
        figure, axes = plt.subplots(1, len(groups), figsize=(4.9 * len(groups), 1.2 + 0.36 * most), squeeze=False)
        lowest = min(float(own["macro_f1_low"]) for _, results in groups for own in results)
        left = max(0.0, min(lowest, bar or 1.0) - 0.01)
        for axis, (name, results) in zip(axes[0], groups, strict=True):
            for place, own in enumerate(results):
                middle = float(own["macro_f1"])
                low, high = float(own["macro_f1_low"]), float(own["macro_f1_high"])
                colour = ACCENT if own["family"] == "diffusion" else SOFT
                axis.plot([low, high], [place, place], color=colour, linewidth=2.4, solid_capstyle="round")
                axis.plot(middle, place, "o", color=colour, markersize=6)
            if bar is not None and name == "stratified":
                axis.axvline(bar, color=INK, linewidth=1, linestyle=":")
                axis.text(bar, -0.75, f" bar {bar:g}", fontsize=8, color=SOFT, va="center")
            axis.set_yticks(range(len(results)), [title(str(own["model"])) for own in results])
            axis.tick_params(axis="y", length=0, labelcolor=INK)
            axis.set_ylim(len(results) - 0.5, -1)
            axis.set_xlim(left, 1 + 0.03 * (1 - left))
            axis.xaxis.set_major_locator(MaxNLocator(5))
            axis.grid(visible=False, axis="y")
            axis.set_title(f"{name} folds")
            axis.set_xlabel("macro F1, 95 % interval")
        return png(figure)


def confusion(name: str, table: list[list[int]], classes: list[str]) -> bytes:
    """Rows are what is true, columns what was said; shades by the share of the row."""
    with look():
        counts: F64 = np.asarray(table, dtype=np.float64)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        figure, axis = plt.subplots(figsize=(1.6 + 0.62 * len(classes), 1.3 + 0.5 * len(classes)))
        axis.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
        for row in range(len(classes)):
            for column in range(len(classes)):
                if counts[row, column]:
                    dark = share[row, column] > 0.35
                    axis.text(
                        column, row, f"{int(counts[row, column]):,}".replace(",", " "), ha="center", va="center",
                        fontsize=8, color="white" if dark else INK,
                        fontweight="bold" if row == column else "normal",
                    )  # fmt: skip
        axis.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(classes)), classes)
        axis.tick_params(length=0, labelcolor=INK)
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
        axis.set_xlabel("said")
        axis.set_ylabel("true")
        axis.set_title(name)
        return png(figure)


def roc(panels: list[tuple[str, list[Curve]]]) -> bytes:
    """ROC per class, a panel per model; the axis of false positives is logarithmic, where operators live."""
    with look():
        figure, axes = plt.subplots(1, len(panels), figsize=(5.4 * len(panels), 4.4), squeeze=False, sharey=True)
        for axis, (name, curves) in zip(axes[0], panels, strict=True):
            for curve in curves:
                _line(axis, np.maximum(curve.x, _LEAST_FPR), curve.y, curve, f"{curve.area:.4f}")
            axis.set_xscale("log")
            axis.set_xlim(_LEAST_FPR, 1)
            axis.xaxis.set_major_locator(LogLocator(10))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_ylim(0, 1.02)
            axis.set_xlabel("false positive rate")
            axis.set_title(name)
            axis.legend(loc="lower right", title="class, area", title_fontsize=8.5)
        axes[0][0].set_ylabel("true positive rate")
        return png(figure)


def precision_recall(panels: list[tuple[str, list[Curve]]]) -> bytes:
    """Precision over recall per class, a panel per model."""
    with look():
        figure, axes = plt.subplots(1, len(panels), figsize=(5.4 * len(panels), 4.4), squeeze=False, sharey=True)
        for axis, (name, curves) in zip(axes[0], panels, strict=True):
            for curve in curves:
                _line(axis, curve.x, curve.y, curve, f"{curve.area:.4f}")
            axis.set_xlim(0, 1.02)
            axis.set_ylim(0, 1.02)
            axis.set_xlabel("recall")
            axis.set_title(name)
            axis.legend(loc="lower left", title="class, average precision", title_fontsize=8.5)
        axes[0][0].set_ylabel("precision")
        return png(figure)


def _line(axis: Axes, x: F64, y: F64, curve: Curve, area: str) -> None:
    axis.plot(
        x, y, color=CLASS_COLOURS[curve.label], linestyle=CLASS_STYLES[curve.label], linewidth=1.7,
        label=f"{NAMES[curve.label]}  {area}", drawstyle="steps-post",
    )  # fmt: skip


def calibration(models: list[tuple[str, Reliability]]) -> bytes:
    """What was claimed against what came true, and how many rows stand behind each point."""
    with look():
        colours = model_colours([name for name, _ in models])
        figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.2, 5.6), sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":")
        for name, own in models:
            label = f"{title(name)}  {own.error:.4f}"
            upper.plot(own.claimed, own.true, "o-", color=colours[name], markersize=3.5, linewidth=1.5, label=label)
            lower.plot(own.claimed, own.rows, "o-", color=colours[name], markersize=3, linewidth=1)
        upper.set_ylabel("share that is right")
        upper.set_ylim(0, 1.02)
        upper.legend(loc="upper left", title="model, calibration error", title_fontsize=8.5)
        lower.set_yscale("log")
        lower.set_ylabel("rows")
        lower.set_xlabel("confidence of the likeliest class")
        lower.set_xlim(0, 1.02)
        return png(figure)


# What curves are called, and whether they are losses; the others are scores.
_CURVES = {
    "noise": ("noise, squared error", True),
    "cross_entropy": ("cross-entropy, training batch", True),
    "boundary": ("pseudo-anomalies, training batch", True),
    "held_cross_entropy": ("cross-entropy, rows held out", True),
    "held_auc": ("mean AUC of classes, rows held out", False),
}


def training(name: str, curves: list[dict[str, Any]]) -> bytes | None:
    """Losses over training, and scores on rows held out where they were taken; thin lines are single folds."""
    lines = [(key, *line) for curve in curves for key, line in _lines(curve)]
    if not lines:
        return None
    losses = [line for line in lines if _CURVES[line[0]][1]]
    scores = [line for line in lines if not _CURVES[line[0]][1]]
    panels = [("loss", losses), ("AUC", scores)]
    panels = [panel for panel in panels if panel[1]]
    with look():
        figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 3.8), squeeze=False)
        for axis, (what, own) in zip(axes[0], panels, strict=True):
            keys = list(dict.fromkeys(key for key, _, _ in own))
            colours = model_colours(keys)
            for key, x, y in own:
                axis.plot(x, y, color=colours[key], linewidth=0.8, alpha=0.35)
            for key in keys:
                same = [(x, y) for other, x, y in own if other == key]
                least = min(len(y) for _, y in same)
                mean = np.mean([y[:least] for _, y in same], axis=0)
                axis.plot(same[0][0][:least], mean, color=colours[key], linewidth=2, label=_CURVES[key][0])
            if what == "loss" and all((np.asarray(y) > 0).all() for _, _, y in own):
                axis.set_yscale("log")
            axis.set_title(f"{title(name)}: {what}")
            axis.set_xlabel("update")
            axis.legend()
        return png(figure)


def _lines(curve: dict[str, Any]) -> list[tuple[str, tuple[F64, F64]]]:
    steps = curve.get("update")
    if not isinstance(steps, list) or len(steps) < 2:
        return []
    own = []
    for key in _CURVES:
        values = curve.get(key)
        if not isinstance(values, list) or len(values) != len(steps):
            continue
        y = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        if np.isfinite(y).all():
            own.append((key, (np.asarray(steps, dtype=np.float64), y)))
    return own


def unknown(rows: list[dict[str, Any]], classes: list[str]) -> bytes:
    """AUROC of the unknown-attack score, per class that was left out, a bar per model."""
    with look():
        colours = model_colours([str(own["model"]) for own in rows])
        figure, axis = plt.subplots(figsize=(max(6.5, 1.15 * len(classes) + 2), 3.9))
        width = 0.84 / len(rows)
        for place, own in enumerate(rows):
            values = [own["classes"].get(name, {}).get("auroc") for name in classes]
            heights = [value if value is not None else 0 for value in values]
            mean = own.get("mean_auroc")
            label = title(str(own["model"])) + (f"  {mean:.3f}" if mean is not None else "")
            at = np.arange(len(classes)) - 0.42 + width * (place + 0.5)
            axis.bar(at, heights, width * 0.92, color=colours[str(own["model"])], label=label)
        axis.axhline(0.5, color=INK, linewidth=1, linestyle=":")
        axis.set_xticks(range(len(classes)), classes)
        axis.tick_params(axis="x", length=0, labelcolor=INK)
        axis.grid(visible=False, axis="x")
        axis.set_ylim(0, 1)
        axis.set_ylabel("AUROC")
        axis.set_title("Class left out of training, told from benign rows")
        figure.legend(loc="outside right upper", title="model, mean", title_fontsize=8.5)
        return png(figure)


def importance(name: str, features: list[tuple[str, float]]) -> bytes:
    """How much each feature moves the answers, the most important first."""
    with look():
        shown = features[:20]
        figure, axis = plt.subplots(figsize=(6.2, 0.9 + 0.24 * len(shown)))
        axis.barh(range(len(shown)), [weight for _, weight in shown], color=ACCENT, height=0.68)
        axis.set_yticks(range(len(shown)), [feature for feature, _ in shown])
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("mean |Shapley value|")
        axis.set_title(name)
        return png(figure)


# What stages are called.
STAGES = {
    "packets-8": "8 packets",
    "packets-32": "32 packets",
    "packets-128": "128 packets",
    "age-1s": "1 s",
    "age-5s": "5 s",
    "age-30s": "30 s",
    "end": "end",
    "source": "address",
}


def stages(models: list[tuple[str, dict[str, dict[str, Any]]]]) -> bytes:
    """Macro F1 by what of the flow had been seen."""
    with look():
        colours = model_colours([name for name, _ in models])
        names = [stage for stage in STAGES if any(stage in own for _, own in models)]
        figure, axis = plt.subplots(figsize=(max(5.0, 1.05 * len(names)), 3.6))
        width = 0.84 / len(models)
        for place, (name, own) in enumerate(models):
            at = np.arange(len(names)) - 0.42 + width * (place + 0.5)
            heights = [own.get(stage, {}).get("macro_f1", 0.0) for stage in names]
            axis.bar(at, heights, width * 0.92, color=colours[name], label=title(name))
        axis.set_xticks(range(len(names)), [STAGES[stage] for stage in names])
        axis.tick_params(axis="x", length=0, labelcolor=INK)
        axis.grid(visible=False, axis="x")
        axis.set_ylim(0, 1)
        axis.set_ylabel("macro F1")
        figure.legend(loc="outside right upper")
        return png(figure)
