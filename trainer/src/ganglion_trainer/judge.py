"""The live bundle's figures: per flow from the model's scores, per source from the brain's decisions.

`python -m ganglion_trainer.judge --data DIR --model BUNDLE [--decisions FILE ...]`. The data set is one of test runs,
prepared without thinning (`max_rows_per_cell` large). A flow counts as detected or as a false alarm if any of its
records says so with confidence: the same bar for both. Decisions are what `replay --json` of the brain's examples
prints for a recording, one file per run, named RUN.jsonl.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import betaincinv

from ganglion_trainer import events
from ganglion_trainer.classes import BENIGN, DDOS, NAMES, name
from ganglion_trainer.dataset import Arrays, Dataset, read
from ganglion_trainer.derived import F32, FLOW, I64, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json, strings, write_json
from ganglion_trainer.graph import Session
from ganglion_trainer.inputs import quiet_benign
from ganglion_trainer.metrics import CONFIDENT

_FLOODS = ("DoS", "DDoS")
# A decision may come so long after an attack's end and still be about it, µs.
_LATE_US = 4_000_000


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval."""
    low = 0.0 if hits == 0 else float(betaincinv(hits, trials - hits + 1, 0.025))
    high = 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, 0.975))
    return low, high


def share(hits: int, trials: int) -> dict[str, Any]:
    """A share with its interval."""
    if not trials:
        return {"hits": 0, "of": 0, "share": None, "low": None, "high": None}
    low, high = interval(hits, trials)
    return {
        "hits": hits,
        "of": trials,
        "share": round(hits / trials, 6),
        "low": round(low, 6),
        "high": round(high, 6),
    }


def per_flow(dataset: Dataset, bundle: Path, confident: float) -> dict[str, Any]:
    """Detected flows per class and attack, false alarms per kind of session."""
    manifest, where = read_json(bundle / "manifest.json"), str(bundle / "manifest.json")
    wanted, classes = strings(manifest, "features", where), field(manifest, "classes", list, where)
    missing = [feature for feature in wanted if feature not in dataset.features]
    if missing:
        raise TrainerError(f"{bundle}: the data set has no column {missing[0]!r}")
    arrays = dataset.arrays.take(dataset.arrays.kind == FLOW)
    columns = [dataset.features.index(feature) for feature in wanted]
    x = np.ascontiguousarray(arrays.x[:, columns])
    probabilities, _ = Session((bundle / "model.onnx").read_bytes(), str(bundle)).score(x)
    likeliest, confidence = _verdicts(probabilities, np.array(classes))
    flagged = (confidence >= confident) & (likeliest != BENIGN)
    right = flagged & _same(likeliest, arrays.y)
    flow, first = _flows(arrays)
    any_flagged, any_right = (np.bincount(flow, mask, len(first)) > 0 for mask in (flagged, right))
    of = arrays.take(first)
    quiet = quiet_benign(of, dataset.origins)
    answers = (of.y == BENIGN) & ~quiet
    return {
        "confident": confident,
        "classes": {
            name(label): _tpr(any_flagged, any_right, of.y == label) for label in sorted({*of.y.tolist()} - {BENIGN})
        },
        "attacks": {
            title: _tpr(any_flagged, any_right, mine) for title, mine in _by_origin(dataset, of, of.y != BENIGN)
        },
        "benign": share(int((any_flagged & quiet).sum()), int(quiet.sum())),
        "benign_by_kind": {
            title: share(int((any_flagged & mine).sum()), int(mine.sum()))
            for title, mine in _by_origin(dataset, of, quiet)
        },
        "answers_to_attacks": share(int((any_flagged & answers).sum()), int(answers.sum())),
        "taken_for": _taken_for(likeliest, flagged, quiet[flow]),
    }


def _verdicts(probabilities: F32, classes: I64) -> tuple[I64, F32]:
    """The likeliest class of each row and its probability; the two kinds of floods count together, as in a rule of
    the playbook that names both."""
    floods = np.flatnonzero(np.isin(classes, [NAMES.index(flood) for flood in _FLOODS]))
    joined = probabilities.copy()
    if len(floods) > 1:
        rows = np.arange(len(joined))
        likelier = floods[probabilities[:, floods].argmax(axis=1)]
        joined[:, floods] = 0.0
        joined[rows, likelier] = probabilities[:, floods].sum(axis=1)
    return classes[joined.argmax(axis=1)], joined.max(axis=1)


def _same(found: I64, truth: Any) -> Bool:  # noqa: ANN401
    """Whether the classes agree; the two kinds of floods count as one, as in the demo."""
    floods = [NAMES.index(flood) for flood in _FLOODS]
    return np.asarray((found == truth) | (np.isin(found, floods) & np.isin(truth, floods)))


def _flows(arrays: Arrays) -> tuple[I64, I64]:
    """Per row the number of its flow, per flow one of its rows. One 5-tuple of one attack run is one flow."""
    # Groups are hashes already; an odd factor keeps the pairs apart.
    key = arrays.group + arrays.episode.astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    _, first, flow = np.unique(key, return_index=True, return_inverse=True)
    return flow.reshape(-1).astype(np.int64), first.astype(np.int64)


def _by_origin(dataset: Dataset, of: Arrays, among: Bool) -> list[tuple[str, Bool]]:
    found = ((title, among & (of.origin == number)) for number, title in enumerate(dataset.origins))
    return [(title, mine) for title, mine in found if mine.any()]


def _tpr(flagged: Bool, right: Bool, mine: Bool) -> dict[str, Any]:
    total = int(mine.sum())
    return {
        "right": share(int((right & mine).sum()), total),
        "as_any_attack": share(int((flagged & mine).sum()), total),
    }


def _taken_for(likeliest: I64, flagged: Bool, quiet: Bool) -> dict[str, int]:
    return dict(Counter(name(int(label)) for label in likeliest[flagged & quiet]))


def per_source(log: events.Log, decisions: list[dict[str, Any]]) -> dict[str, Any]:
    """Which attackers the playbook named in the right class, and which benign hosts it named at all."""
    sources: dict[str, list[bool]] = {}
    attacks: dict[str, list[bool]] = {}
    for attack in log.attacks:
        if attack.end_us is None:
            continue
        label = name(attack.label)
        mine = [decision for decision in decisions if _stands(decision, attack) and _right(label, decision["class"])]
        many = attack.label == DDOS or attack.outbound
        # Forged senders are one source: whoever forges them. What comes from many or from inside may be named at
        # its target, as in the demo.
        ends = [attack.attackers] if attack.spoofed or attack.outbound else [frozenset([a]) for a in attack.attackers]
        for end in ends:
            due = end | (attack.targets if many else frozenset())
            found = any(due & set(decision["target"]) for decision in mine)
            sources.setdefault(label, []).append(found)
            attacks.setdefault(attack.name, []).append(found)
    return {"sources": sources, "attacks": attacks, "benign": _named(log, decisions)}


def _stands(decision: dict[str, Any], attack: events.Attack) -> bool:
    """Whether the decision was made during the attack, or before and not over: no second one comes until then."""
    end_us = np.inf if attack.end_us is None else attack.end_us + _LATE_US
    begun: int = decision["time_us"]
    return bool(begun <= end_us and begun + int(decision.get("ttl_us", 0)) >= attack.start_us)


def _right(label: str, found: str) -> bool:
    return label.lower() == found.lower() or (label in _FLOODS and found.lower() in ("dos", "ddos"))


def _named(log: events.Log, decisions: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Benign hosts that a decision names, by what it does to them; the server is not one of them."""
    hosts = {address for address, role in log.hosts.items() if role in ("client", "mirror")}
    found: dict[str, dict[str, int]] = {}
    for decision in decisions:
        # A flow's verdict names both ends; the server is always one.
        for address in hosts & set(decision["target"]):
            what = f"{decision['action']} {decision['class']}"
            found.setdefault(address, {})[what] = found.get(address, {}).get(what, 0) + 1
    return found


def _decisions(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise TrainerError(f"{path}: {error}") from error


def judge(dataset: Dataset, bundle: Path, recordings: dict[Path, Path], confident: float) -> dict[str, Any]:
    """Everything. `recordings`: folder with the event log → decisions."""
    sources: dict[str, list[bool]] = {}
    attacks: dict[str, list[bool]] = {}
    benign: dict[str, Any] = {}
    hosts = 0
    for folder, path in recordings.items():
        log = events.read(folder / "events.jsonl")
        found = per_source(log, _decisions(path))
        hosts += sum(role == "client" for role in log.hosts.values()) // 2
        for into, of in ((sources, found["sources"]), (attacks, found["attacks"])):
            for key, values in of.items():
                into.setdefault(key, []).extend(values)
        if found["benign"]:
            benign[folder.name] = found["benign"]
    return {
        "runs": [{key: run[key] for key in ("name", "split", "seed")} for run in dataset.runs],
        "per_flow": per_flow(dataset, bundle, confident),
        "per_source": {key: share(sum(values), len(values)) for key, values in sorted(sources.items())},
        "per_source_by_attack": {key: share(sum(values), len(values)) for key, values in sorted(attacks.items())},
        "benign_hosts": hosts,
        "benign_hosts_named": benign,
    }


def render(found: dict[str, Any]) -> str:
    """As text."""

    def cell(value: dict[str, Any]) -> str:
        if value["share"] is None:
            return f"{'–':>32}"
        return f"{value['hits']:>7}/{value['of']:<7} {value['share']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"

    flows, lines = found["per_flow"], [f"{'per flow':<18}{'right class':<44}as any attack"]
    for title, own in (*flows["classes"].items(), *flows["attacks"].items()):
        lines.append(f"{title:<18}{cell(own['right']):<44}{cell(own['as_any_attack'])}")
    lines += ["", f"{'benign flows':<18}{cell(flows['benign'])}  taken for {flows['taken_for']} (records)"]
    lines += [f"  {title:<16}{cell(own)}" for title, own in flows["benign_by_kind"].items()]
    lines += [f"  {'(answers)':<16}{cell(flows['answers_to_attacks'])}", "", "per source"]
    for title, own in (*found["per_source"].items(), *found["per_source_by_attack"].items()):
        lines.append(f"{title:<18}{cell(own)}")
    lines += ["", f"benign hosts named, of {found['benign_hosts']}: {found['benign_hosts_named'] or 'none'}"]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ganglion_trainer.judge")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data set of test runs, not thinned")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="the bundle")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="folder of recordings: their event logs")
    parser.add_argument("--decisions", type=Path, metavar="DIR", help="RUN.jsonl of each recording")
    parser.add_argument("--confident", type=float, default=CONFIDENT, metavar="P")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    pairs: dict[Path, Path] = {}
    dataset = read(args.data)
    if args.decisions and args.recordings:
        pairs = {args.recordings / run["name"]: args.decisions / f"{run['name']}.jsonl" for run in dataset.runs}
    found = judge(dataset, args.model, pairs, args.confident)
    if args.json:
        write_json(args.json, found)
    print(render(found))


if __name__ == "__main__":
    main()
