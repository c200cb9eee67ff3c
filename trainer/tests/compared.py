"""A folder as `compare` writes it, with scores made up but all its files and figures consistent."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from ganglion_trainer.classes import NAMES

CLASSES = [1, 2, 3, 4, 8]
ROWS = {1: 900, 2: 400, 3: 300, 4: 200, 8: 8}
# How much of the truth each model sees.
MODELS = {"diffusion": 6.0, "extra-trees": 5.5, "xgboost": 4.5, "vote": 5.8}
FAMILIES = {"diffusion": "diffusion", "vote": "vote"}


def write(folder: Path, splits: tuple[str, ...] = ("stratified", "grouped"), seed: int = 1) -> dict[str, Any]:
    """Writes `compare.json` and the scores; returns the former."""
    rng = np.random.default_rng(seed)
    y = np.repeat(list(ROWS), list(ROWS.values())).astype(np.uint8)
    truth = np.searchsorted(CLASSES, y)
    (folder / "oof").mkdir(parents=True)
    results = []
    for split in splits:
        for model, sight in MODELS.items():
            logits = rng.normal(size=(len(y), len(CLASSES)))
            logits[np.arange(len(y)), truth] += sight - (1 if split == "grouped" else 0)
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            name = f"oof/{model}.{split}.1.npz"
            np.savez(
                folder / name, proba=proba.astype(np.float32), anomaly=rng.random(len(y)).astype(np.float32), y=y,
                fold=(np.arange(len(y)) % 5).astype(np.int8),
            )  # fmt: skip
            results.append(_result(model, split, name, truth, proba))
    about = {
        "format": 1,
        "command": "ganglion-trainer compare --data d -o c",
        "dataset_digest": "0" * 64,
        "rows": len(y),
        "features": ["a", "b"],
        "quick": False,
        "seconds": 12.0,
        "classes": CLASSES,
        "class_rows": {NAMES[label]: count for label, count in ROWS.items()},
        "judged": [NAMES[label] for label, count in ROWS.items() if count >= 50],
        "published": {"Benign": 0.98, "DDoS": 0.979, "DoS": 0.957, "PortScan": 0.961, "Heartbleed": 0.909},
        "splits": {
            split: {
                "folds": 2,
                "rows": {"Benign": [450, 450], "Heartbleed": [8, 0]},
                "in_one_fold": {"Heartbleed": [0]},
            }
            for split in splits
        },
        "settings": {},
        "results": results,
        "leave_one_out": [_left_out("diffusion", 0.95), _left_out("isolation-forest", 0.91)],
        "curves": {"diffusion": [_curve(fold, rng) for fold in range(2)]},
        "k_table": [
            {"k": k, "precision": "fp32", "macro_f1": 0.98, "mean_auroc": 0.9, "flows_per_s_1": 5e4 / k, "bytes": 9e5}
            for k in (1, 2, 4, 8)
        ],
    }
    (folder / "compare.json").write_text(json.dumps(about))
    return about


def _result(model: str, split: str, name: str, truth: np.ndarray, proba: np.ndarray) -> dict[str, Any]:
    found = proba.argmax(axis=1)
    names = [NAMES[label] for label in CLASSES]
    scores = dict(zip(names, f1_score(truth, found, average=None).tolist(), strict=True))
    macro = float(np.mean(list(scores.values())[:4]))
    return {
        "model": model,
        "family": FAMILIES.get(model, "tabular"),
        "split": split,
        "seeds": [1],
        "macro_f1": macro,
        "macro_f1_low": macro - 0.01,
        "macro_f1_high": macro + 0.01,
        "macro_f1_all": float(np.mean(list(scores.values()))),
        "per_seed": [macro],
        "f1": scores,
        "f1_low": {key: max(0.0, value - 0.02) for key, value in scores.items()},
        "f1_high": {key: min(1.0, value + 0.02) for key, value in scores.items()},
        "precision": scores,
        "recall": scores,
        "confusion": confusion_matrix(truth, found).tolist(),
        "log_loss": 0.1,
        "calibration_error": 0.01,
        "parameters": 123_456 if model != "vote" else None,
        "bytes": 500_000,
        "train_seconds": 12.0,
        "trials": 8,
        "hyper": {"depth": 3},
        "oof": [name],
    }


def _left_out(model: str, mean: float) -> dict[str, Any]:
    own = {"rows": 8, "auroc": mean, "tpr_at_fpr_0.01": 0.5, "tpr_at_fpr_0.001": None}
    classes = {NAMES[label]: own for label in CLASSES[1:]}
    return {"model": model, "score": "the larger of two", "seeds": [1], "mean_auroc": mean, "classes": classes}


def _curve(fold: int, rng: np.random.Generator) -> dict[str, Any]:
    steps = np.arange(0, 1000, 50)
    fall = np.exp(-steps / 300) + 0.02 * rng.random(len(steps)) + 0.05
    rise = (1 - np.exp(-steps / 150) * 0.5).tolist()
    own = {"split": "stratified", "seed": 1, "fold": fold, "update": steps.tolist()}
    own |= {"noise": fall.tolist(), "cross_entropy": (fall * 2).tolist()}
    # Folds of before held-out rows were watched have no such curve.
    return own | ({"held_cross_entropy": (fall * 3).tolist(), "held_auc": rise} if fold else {})


def explained(path: Path, model: str = "diffusion", digest: str = "0" * 64) -> Path:
    """Writes what `explain` writes."""
    features = [[f"feature {n}", 0.1 / (n + 1)] for n in range(9)]
    classes = {NAMES[label]: {"rows": 8, "features": features} for label in CLASSES}
    about = {"format": 2, "method": "by chance", "model": model, "dataset_digest": digest, "model_digest": "1" * 64}
    path.write_text(json.dumps(about | {"classes": classes, "features": features}))
    return path
