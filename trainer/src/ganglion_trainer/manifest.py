"""What both kinds of bundles share: the manifest's rows, its layout, and the check of what was written."""

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer import __version__, classes
from ganglion_trainer.derived import F32, I64, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import METRICS, Trained
from ganglion_trainer.files import read_json, sha256, write_json
from ganglion_trainer.graph import Session

MANIFEST = "manifest.json"
MODEL = "model.onnx"
# What the quantiles are, for the manifest.
QUANTILES = "0, 10, …, 100 % of benign training rows, of inputs and of scores"
_FORMAT = 1
_SELF_TEST_PER_CLASS = 3
# Deciles: the quantiles 0, 0.1, …, 1.
_RANKS = np.linspace(0.0, 1.0, 11)
# Of what self-tests allow; a row whose answers move more under rounding noise is a bad self-test.
_STEADY = 2e-4


@dataclass(frozen=True)
class Bundle:
    """What a manifest is made of."""

    trained: Trained
    id: str
    version: str
    profile: str
    # Training rows of the model's classes and columns, and which of them show what normal looks like.
    x: F32
    y: npt.NDArray[Any]
    usual: Bool
    seed: int
    # Rows that explanations are held against.
    background: int
    metrics: dict[str, Any]
    training: dict[str, Any]


def write(bundle: Bundle, out: Path) -> dict[str, Any]:
    """Writes the bundle and checks it by loading it again; returns the manifest."""
    trained, session = bundle.trained, Session(bundle.trained.model, MODEL)
    rng = np.random.default_rng(bundle.seed)
    rows = _self_test_rows(session, bundle, rng)
    probabilities, anomaly = session.score(rows)
    usual = np.flatnonzero(bundle.usual)
    background = bundle.x[np.sort(rng.choice(usual, min(bundle.background, len(usual)), replace=False))]
    manifest = {
        "format": _FORMAT,
        "id": bundle.id,
        "version": bundle.version,
        "kind": "classifier",
        "profile": bundle.profile,
        "features": trained.features,
        "classes": trained.classes,
        "thresholds": {"anomaly": trained.threshold},
        "quantiles": _quantiles(trained, session, np.ascontiguousarray(bundle.x[usual])),
        "background": [_floats(row) for row in background],
        "self_test": {
            "rows": [_floats(row) for row in rows],
            "probabilities": [_floats(row) for row in probabilities],
            "anomaly": _floats(anomaly),
        },
        "metrics": bundle.metrics,
        "training": bundle.training,
        "digests": {MODEL: trained.about["model_digest"]},
        "signature": None,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL).write_bytes(trained.model)
    write_json(out / MANIFEST, manifest)
    check(out)
    return manifest


def check(folder: Path) -> None:
    """What the brain's loader checks, so that a bad bundle is found where it is made."""
    manifest = read_json(folder / MANIFEST)
    if sha256(folder / MODEL) != manifest["digests"][MODEL]:
        raise TrainerError(f"{folder / MODEL}: not the file that the manifest was made for")
    test = manifest["self_test"]
    rows = np.array(test["rows"], dtype=np.float32)
    session = Session((folder / MODEL).read_bytes(), str(folder / MODEL))
    for batch in (rows, rows[:1]):
        probabilities, anomaly = session.score(batch)
        due = np.array(test["probabilities"], dtype=np.float32)[: len(batch)]
        if probabilities.shape != due.shape or anomaly.shape != (len(batch),):
            raise TrainerError(f"{folder}: the model breaks the contract: {probabilities.shape}, {anomaly.shape}")
        noted = np.array(test["anomaly"], dtype=np.float32)[: len(batch)]
        far = np.abs(anomaly - noted) > 1e-3 * np.maximum(np.abs(noted), 1)
        if np.abs(probabilities - due).max() > 1e-3 or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3 or far.any():
            raise TrainerError(f"{folder}: fails its self-test")


def held_out(trained: Trained) -> dict[str, Any] | None:
    """What `evaluate` found, if it was asked."""
    path = trained.folder / METRICS
    if not path.exists():
        return None
    found = read_json(path)
    if found.pop("model_digest", None) != trained.about["model_digest"]:
        raise TrainerError(f"{path}: of another model: evaluate it anew")
    return found


def made_with(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of what took part, of packages those that are installed."""
    installed = {own.metadata["Name"].lower() for own in metadata.distributions()}
    versions = {name: metadata.version(name) for name in packages if name in installed}
    return {"ganglion-trainer": __version__, "python": platform.python_version(), **versions}


def _floats(values: npt.NDArray[Any]) -> list[float]:
    """Exactly these numbers; whole ones without a point."""
    return [int(value) if value == int(value) and abs(value) < 1e15 else value for value in map(float, values)]


def _quantiles(trained: Trained, session: Session, benign: F32) -> dict[str, list[float]]:
    """Of inputs and of scores: what drift is measured against."""
    wide = np.quantile(benign.astype(np.float64), _RANKS, axis=0)
    found = {name: _floats(wide[:, at]) for at, name in enumerate(trained.features)}
    probabilities, anomaly = session.score(benign)
    found["score:anomaly"] = _floats(np.quantile(anomaly.astype(np.float64), _RANKS))
    for at, label in enumerate(trained.classes):
        found[f"score:{label}"] = _floats(np.quantile(probabilities[:, at].astype(np.float64), _RANKS))
    return found


def _self_test_rows(session: Session, bundle: Bundle, rng: np.random.Generator) -> F32:
    """Rows of every class, none of them at a border where another processor's last bit decides.

    Boosted trees split at values that rows have, so that a class may lie at borders with all its rows. There those are
    taken that move least: trees compare what they are given, and no rounding comes before.
    """
    x, y = bundle.x, bundle.y
    probabilities, _ = session.score(x)
    apart = np.zeros(len(x))
    for factor in (1 - 1e-6, 1 + 1e-6):
        moved, _ = session.score((x * np.float32(factor)).astype(np.float32))
        apart = np.maximum(apart, np.abs(moved - probabilities).max(axis=1))
    picked: list[I64] = []
    for label in bundle.trained.classes:
        mine = np.flatnonzero(y == label)
        if not len(mine):
            raise TrainerError(f"class {classes.name(label)}: no row for a self-test")
        candidates = mine[apart[mine] < _STEADY]
        if not len(candidates):
            candidates = mine[np.argsort(apart[mine], kind="stable")[:_SELF_TEST_PER_CLASS]]
        picked.append(np.sort(rng.choice(candidates, min(_SELF_TEST_PER_CLASS, len(candidates)), replace=False)))
    return np.ascontiguousarray(x[np.concatenate(picked)])
