"""A whole comparison: folds, intervals, classes left out, the table of K."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganglion_trainer import inputs, splits
from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.compare import pooled, work
from ganglion_trainer.compare.published import TABLE
from ganglion_trainer.compare.registry import ANOMALY, DIFFUSION, NAMES, SEQUENCE, VOTE, maker
from ganglion_trainer.compare.results import Store, Values
from ganglion_trainer.compare.unknown import leave_one_out
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.derived import F32
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import write_json
from ganglion_trainer.progress import say

FORMAT = 1
RESULT = "compare.json"
# Rivals that get as many seeds as the diffusion model.
_BEST = 2
Part = tuple[Values, dict[str, Any]]


@dataclass(frozen=True)
class Request:
    """What is to be compared."""

    models: tuple[str, ...]
    splits: tuple[splits.How, ...]
    # Per split.
    seeds: tuple[int, ...]
    out: Path
    quick: bool
    command: str


def models_for(dataset: Dataset, asked: list[str] | None) -> tuple[str, ...]:
    """The models asked for; without a word all that the data set has columns for."""
    packets = any(feature.startswith("first_size_") for feature in dataset.features)
    if not asked:
        return tuple(own for own in NAMES if packets or own not in SEQUENCE)
    for own in asked:
        if own not in NAMES:
            raise TrainerError(f"unknown model {own!r}; known are {', '.join(NAMES)}")
    return tuple(own for own in NAMES if own in asked)


def compare(dataset: Dataset, config: Config, request: Request) -> dict[str, Any]:
    """Does what is not done yet, writes `compare.json`; returns it."""
    started = time.perf_counter()
    task = _task(dataset, config, request)
    kept: dict[tuple[str, str, int], list[Part]] = {}
    say(f"{len(task.arrays.y)} rows, {len(task.features)} inputs, models {', '.join(request.models)}")
    trained = [own for own in request.models if own != VOTE]
    for split in request.splits:
        for model in trained:
            kept[model, split, 1] = _folds(task, model, split, 1)
    first = request.splits[0]
    result = _about(dataset, task, request)
    scored = {
        own: _entry(task, own, first, [1], kept, request.out)["macro_f1"] for own in trained if own not in ANOMALY
    }
    rivals = sorted((own for own in scored if own != DIFFUSION), key=lambda own: -scored[own])[:_BEST]
    many = [own for own in (DIFFUSION, *rivals) if own in trained]
    hypers = {own: _usual([notes for _, notes in kept[own, first, 1]]) for own in trained}
    result["leave_one_out"] = []
    for model in (DIFFUSION, *(own for own in trained if own != DIFFUSION)):
        if model in trained and len(task.classes) > 3:
            result["leave_one_out"].append(leave_one_out(task, model, [1], hypers[model]))
    _write(result, task, request, kept, started)
    for split, seeds in zip(request.splits, request.seeds, strict=True):
        for seed in range(2, seeds + 1):
            for model in many:
                kept[model, split, seed] = _folds(task, model, split, seed)
            _write(result, task, request, kept, started)
    return result


def quick(config: Config) -> Config:
    """Settings that do everything, little of it."""
    own = config.compare | {"folds": 3, "trials": 1, "search_rows": 400, "draws": 50, "updates": 30}
    return replace(config, compare=own, diffusion=config.diffusion | {"updates": 60, "batch": 64})


def _write(
    result: dict[str, Any],
    task: work.Task,
    request: Request,
    kept: dict[tuple[str, str, int], list[Part]],
    started: float,
) -> None:
    """All that is known so far: a comparison that is stopped has a result, too."""
    entries = []
    for split in request.splits:
        for model in request.models:
            if model == VOTE:
                members = _members(task, kept, split)
                if len(members) > 1:
                    entries.append(_vote(task, members, split, request.out))
                continue
            own = sorted(seed for other, part, seed in kept if (other, part) == (model, split))
            entries.append(_entry(task, model, split, own, kept, request.out))
    result["results"] = entries
    result["curves"] = _curves(kept)
    result["seconds"] = round(time.perf_counter() - started, 1)
    write_json(request.out / RESULT, result)


def _task(dataset: Dataset, config: Config, request: Request) -> work.Task:
    arrays = dataset.split("train")
    columns = inputs.choose(dataset.features, arrays.x, config)
    labels, counts = np.unique(arrays.y, return_counts=True)
    classes = [int(label) for label, count in zip(labels, counts, strict=True) if count >= 2]
    if BENIGN not in classes or len(classes) < 2:
        have = ", ".join(name(label) for label in classes) or "none"
        raise TrainerError(f"Benign and one attack at least are due to compare models; classes with rows: {have}")
    arrays = arrays.take(np.isin(arrays.y, classes))
    # What shapes a result, and no more: other settings of the laboratory must not undo a night's work.
    settings: dict[str, Any] = {"data": dataset.digest, "inputs": columns.names, "compare": config.compare}
    settings |= {"diffusion": config.diffusion, "quick": request.quick}
    store = Store(request.out, settings)
    return work.Task(arrays, columns.of(arrays.x), tuple(columns.names), classes, config, store)


def _folds(task: work.Task, model: str, split: splits.How, seed: int) -> list[Part]:
    count = int(task.fold_of(split, seed).max()) + 1
    return [work.fold(task, model, split, seed, number) for number in range(count)]


def _about(dataset: Dataset, task: work.Task, request: Request) -> dict[str, Any]:
    rows = {name(label): int((task.arrays.y == label).sum()) for label in task.classes}
    return {
        "format": FORMAT,
        "command": request.command,
        "dataset_digest": dataset.digest,
        "rows": len(task.arrays.y),
        "features": list(task.features),
        "quick": request.quick,
        "seconds": 0.0,
        "classes": task.classes,
        "class_rows": rows,
        "judged": [name(task.classes[at]) for at in pooled.judged(task)],
        "published": TABLE,
        "splits": {split: splits.about(task.arrays, split, task.fold_of(split, 1)) for split in request.splits},
        "settings": {"compare": task.config.compare, "diffusion": task.config.diffusion},
    }


def _entry(
    task: work.Task,
    model: str,
    split: splits.How,
    seeds: list[int],
    kept: dict[tuple[str, str, int], list[Part]],
    out: Path,
) -> dict[str, Any]:
    all_parts = [kept[model, split, seed] for seed in seeds]
    made = [pooled.pool(task, [values for values, _ in parts]) for parts in all_parts]
    notes = [note for parts in all_parts for _, note in parts]
    return {
        "model": model,
        "family": maker(model, task.config).family,
        "split": split,
        "seeds": seeds,
        **pooled.summary(task, made),
        "parameters": notes[0]["parameters"],
        "bytes": next((note["bytes"] for note in notes if "bytes" in note), None),
        "train_seconds": round(float(np.mean([note["train_seconds"] for note in notes])), 2),
        "trials": notes[0]["trials"],
        "hyper": _usual(notes),
        "oof": [pooled.write(task, own, out, model, split, seed) for own, seed in zip(made, seeds, strict=True)],
    }


def _members(
    task: work.Task, kept: dict[tuple[str, str, int], list[Part]], split: splits.How
) -> list[tuple[str, pooled.Pooled]]:
    """Who votes: all that tell classes apart, with seed 1."""
    names = [model for model, own, seed in kept if own == split and seed == 1 and model not in ANOMALY]
    return [(own, pooled.pool(task, [values for values, _ in kept[own, split, 1]])) for own in names]


def _vote(task: work.Task, members: list[tuple[str, pooled.Pooled]], split: splits.How, out: Path) -> dict[str, Any]:
    mean: F32 = np.asarray(np.mean([own.proba for _, own in members], axis=0, dtype=np.float64), dtype=np.float32)
    made = pooled.Pooled(mean, 1 - mean.max(axis=1), members[0][1].fold)
    entry: dict[str, Any] = {"model": VOTE, "family": "vote", "split": split, "seeds": [1]}
    entry |= pooled.summary(task, [made])
    entry |= dict.fromkeys(("parameters", "bytes", "train_seconds"))
    entry |= {"trials": 0, "hyper": {"members": [model for model, _ in members]}}
    return entry | {"oof": [pooled.write(task, made, out, VOTE, split, 1)]}


def _usual(notes: list[dict[str, Any]]) -> dict[str, Any]:
    """The hyper-parameters that the most folds settled on."""
    texts = Counter(repr(sorted(note["hyper"].items())) for note in notes)
    wanted = texts.most_common(1)[0][0]
    own: dict[str, Any] = next(note["hyper"] for note in notes if repr(sorted(note["hyper"].items())) == wanted)
    return own


def _curves(kept: dict[tuple[str, str, int], list[Part]]) -> dict[str, list[dict[str, Any]]]:
    """How training went, by model, of the first seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for (model, split, seed), parts in kept.items():
        for number, (_, notes) in enumerate(parts):
            if seed == 1 and "curve" in notes:
                of = {"split": split, "seed": seed, "fold": number, **notes["curve"]}
                found.setdefault(model, []).append(of)
    return found
