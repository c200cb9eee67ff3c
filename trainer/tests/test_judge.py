"""The live bundle's figures: intervals, and who counts as named."""

import numpy as np
import pytest

from ganglion_trainer.events import Attack, Log
from ganglion_trainer.judge import _verdicts, interval, per_source, share


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    # None of n: 1 − 0.025^(1/n).
    assert interval(0, 10_000) == (0.0, pytest.approx(3.688e-4, rel=1e-3))
    assert interval(10, 10)[0] == pytest.approx(0.6915, abs=1e-4)
    low, high = interval(3, 10_000)
    assert low == pytest.approx(6.19e-5, rel=1e-2)
    assert high == pytest.approx(8.765e-4, rel=1e-2)
    assert share(0, 0)["share"] is None


def test_the_two_kinds_of_floods_count_together() -> None:
    classes = np.array([1, 2, 3, 4])
    rows = np.array([[0.1, 0.4, 0.45, 0.05], [0.4, 0.3, 0.25, 0.05], [0.9, 0.0, 0.0, 0.1]], dtype=np.float32)
    likeliest, confidence = _verdicts(rows, classes)
    assert likeliest.tolist() == [3, 2, 1]
    assert confidence.tolist() == pytest.approx([0.85, 0.55, 0.9])
    assert _verdicts(rows[:, [0, 2, 3]], classes[[0, 2, 3]])[0].tolist() == [3, 1, 1]


def _attack(name: str, label: int, start_us: int, *, spoofed: bool = False) -> Attack:
    ends = frozenset({"198.19.1.11"}), frozenset({"198.18.0.10"})
    return Attack(name, 0, label, *ends, outbound=False, spoofed=spoofed, start_us=start_us, end_us=start_us + 100)


def test_a_source_is_found_by_its_address_its_class_and_its_time() -> None:
    hosts = {"198.18.0.10": "server", "198.19.1.11": "attacker", "198.18.1.11": "client"}
    attacks = [_attack("scan", 4, 0), _attack("brute", 6, 20_000_000), _attack("ddos", 2, 60_000_000, spoofed=True)]
    log = Log("range", 1, "test", None, [], hosts, attacks, [])  # type: ignore[arg-type]

    def decision(time_us: int, what: str, target: str) -> dict[str, object]:
        return {"time_us": time_us, "action": "drop", "class": what, "target": [target], "confidence": 0.9}

    stood = decision(19_000_000, "BruteForce", "198.19.1.11") | {"ttl_us": 600_000_000}
    assert per_source(log, [stood])["sources"]["BruteForce"] == [True]
    found = per_source(
        log,
        [
            decision(50, "PortScan", "198.19.1.11"),
            # Another class, and much too late.
            decision(20_000_050, "Web", "198.19.1.11"),
            decision(40_000_000, "BruteForce", "198.19.1.11"),
            # A flood from many is named at its target; the two kinds of floods are neighbours.
            decision(60_000_050, "Dos", "198.18.0.10"),
            decision(60_000_060, "Dos", "198.18.1.11"),
        ],
    )
    assert found["sources"] == {"PortScan": [True], "BruteForce": [False], "DDoS": [True]}
    assert found["benign"] == {"198.18.1.11": {"drop Dos": 1}}
