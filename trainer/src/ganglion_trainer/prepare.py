"""`prepare`: derived rows and event logs become one dataset with labels."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer import classes, events, labels
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Arrays, Dataset
from ganglion_trainer.derived import FLOW, SOURCE, STAGES, Bool, Derived
from ganglion_trainer.derived import read as read_derived
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import sha256
from ganglion_trainer.hashing import U64, fold, mix
from ganglion_trainer.progress import say
from ganglion_trainer.runs import PACKED

# Whose features the rows hold.
PROFILE = "ganglion"
KINDS = {FLOW: "flow", SOURCE: "source"}
_FILES = ("events.jsonl", "rows.f32", "meta.csv")


class _Names:
    """Numbers for names, over all runs."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, names: list[str]) -> npt.NDArray[np.int32]:
        for name in names:
            if name not in self._numbers:
                self._numbers[name] = len(self.names)
                self.names.append(name)
        return np.array([self._numbers[name] for name in names] or [0], dtype=np.int32)


def prepare(folders: list[Path], config: Config) -> Dataset:
    """Reads, labels and thins out every recording."""
    origins, hosts = _Names(), _Names()
    episodes: list[str] = []
    parts: list[Arrays] = []
    runs: list[dict[str, Any]] = []
    first: Derived | None = None
    for folder in folders:
        say(f"reading {folder}")
        derived = read_derived(folder)
        log = events.read(folder / "events.jsonl")
        first = first or derived
        if derived.digest != first.digest or derived.features != first.features:
            raise TrainerError(f"{folder}: made with another feature table than {first.folder}: derive both anew")
        made = labels.label(derived, log, _rules(config))
        keep, thinned = _thin(derived, made, config.prepare["max_rows_per_cell"])
        parts.append(_part(derived, made, keep, len(runs), len(episodes), origins, hosts))
        episodes += [f"{attack.title} of {folder.name}" for attack in log.attacks]
        runs.append(_run(folder, log, derived, made, thinned))
        say(f"{folder.name}: {len(keep)} rows, {int(keep.sum())} kept, {sum(made.dropped.values())} dropped")
    if first is None:
        raise TrainerError("no recordings given")
    arrays = Arrays(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Arrays)})
    report = _report(arrays, runs)
    return Dataset(
        arrays=arrays,
        features=first.features,
        table_digest=first.digest,
        origins=origins.names,
        labels=origins.names,
        runs=runs,
        episodes=episodes,
        report=report,
        settings=config.prepare,
        profile=PROFILE,
    )


def _rules(config: Config) -> labels.Rules:
    own = config.prepare
    return labels.Rules(int(own["grace_s"] * 1e6), own["answers"], own["destination_beside_attack"])


def _groups(derived: Derived) -> U64:
    """One number per 5-tuple, both directions alike, or per address and role of SOURCE rows."""
    meta = derived.meta
    swap = meta.initiator > meta.responder
    low, high = np.minimum(meta.initiator, meta.responder), np.maximum(meta.initiator, meta.responder)
    ports = np.where(swap, (meta.ports & 0xFFFF) << 16 | meta.ports >> 16, meta.ports)
    parts = [low, high, ports, meta.protocol.astype(np.int64), meta.role.astype(np.int64)]
    return fold([part.astype(np.uint64) for part in parts])


def _thin(derived: Derived, made: labels.Labels, most: int) -> tuple[Bool, int]:
    """Keeps at most `most` rows of each cell, those with the smallest hash of their flow."""
    meta, group = derived.meta, _groups(derived)
    keep = made.label >= 0
    cell = ((made.episode.astype(np.int64) + 1) * 4096 + made.origin) * 64 + meta.stage * 4 + np.minimum(meta.role, 2)
    order = np.lexsort((np.arange(len(group)), group, cell, ~keep))
    order = order[: int(keep.sum())]
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])
    lengths = np.diff(np.r_[starts, len(order)])
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    thin = np.zeros(len(keep), dtype=bool)
    thin[order[rank < most]] = True
    return thin, int(keep.sum() - thin.sum())


def _part(
    derived: Derived, made: labels.Labels, keep: Bool, run: int, episodes: int, origins: _Names, hosts: _Names
) -> Arrays:
    meta = derived.meta
    origin = origins.numbers(made.origins)[made.origin[keep]]
    host = hosts.numbers(meta.addresses)[meta.initiator[keep]]
    episode = made.episode[keep]
    group = mix(_groups(derived)[keep] ^ np.uint64(run))
    return Arrays(
        x=np.ascontiguousarray(derived.rows[keep], dtype=np.float32),
        y=made.label[keep].astype(np.uint8),
        kind=meta.kind[keep],
        stage=meta.stage[keep],
        role=meta.role[keep],
        run=np.full(int(keep.sum()), run, dtype=np.int32),
        episode=np.where(episode >= 0, episode + episodes, -1).astype(np.int32),
        origin=origin,
        group=group,
        host=host,
        time_us=meta.time_us[keep],
        label=origin,
    )


def _run(folder: Path, log: events.Log, derived: Derived, made: labels.Labels, thinned: int) -> dict[str, Any]:
    digests = {name: sha256(folder / name) for name in _FILES}
    digests |= {name: sha256(folder / name) for name in PACKED if (folder / name).exists()}
    seen = {int(number) for number in np.unique(made.episode)}
    silent = [attack.title for number, attack in enumerate(log.attacks) if number not in seen]
    return {
        "name": folder.name,
        "scenario": log.scenario,
        "split": log.split,
        "seed": log.seed,
        "rows": len(derived.rows),
        "thinned": thinned,
        "dropped": dict(sorted(made.dropped.items())),
        "attacks": len(log.attacks),
        "attacks_without_rows": silent,
        "sha256": digests,
    }


def _report(arrays: Arrays, runs: list[dict[str, Any]]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for split in ("train", "test"):
        wanted = np.array([run["split"] == split for run in runs], dtype=bool)[arrays.run]
        tally = Counter(
            f"{classes.name(int(label))}/{KINDS[int(kind)]}/{STAGES[stage]}"
            for label, kind, stage in zip(arrays.y[wanted], arrays.kind[wanted], arrays.stage[wanted], strict=True)
        )
        counts[split] = dict(sorted(tally.items()))
    return {"rows": counts}


def render(dataset: Dataset) -> str:
    """The report as a table."""
    lines = []
    for run in dataset.runs:
        dropped = ", ".join(f"{count} {why}" for why, count in run["dropped"].items()) or "none"
        lines.append(
            f"{run['name']} ({run['split']}, seed {run['seed']}): {run['rows']} rows, {run['attacks']} attacks"
        )
        lines.append(f"  thinned out: {run['thinned']}; dropped: {dropped}")
        if run["attacks_without_rows"]:
            lines.append(f"  without a row: {', '.join(run['attacks_without_rows'])}")
    for split, counts in dataset.report["rows"].items():
        by_class: dict[str, dict[str, int]] = {}
        for cell, count in counts.items():
            label, kind, stage = cell.split("/")
            column = stage if kind == "flow" else kind
            by_class.setdefault(label, {})[column] = by_class.get(label, {}).get(column, 0) + count
        lines.append(f"\n{split:<14}" + "".join(f"{stage:>12}" for stage in STAGES))
        for label in sorted(by_class, key=classes.NAMES.index):
            cells = "".join(f"{by_class[label].get(stage, 0):>12}" for stage in STAGES)
            lines.append(f"{label:<14}{cells}")
    return "\n".join(lines)
