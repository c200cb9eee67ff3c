"""The rules of README.md, "Labels", one by one."""

from pathlib import Path

import numpy as np
import pytest
from synthetic import ATTACKER, CLIENT, CONTROL, SERVER, Recording

from ganglion_trainer import derived, events
from ganglion_trainer.labels import DROPPED, Labels, Rules, label

BENIGN, DDOS, DOS, SCAN, BOT, BRUTE = 1, 2, 3, 4, 5, 6
RULES = Rules(grace_us=2_000_000, answers="benign", destination_beside_attack="benign")


def labelled(made: Recording, folder: Path, rules: Rules = RULES) -> Labels:
    made.write(folder)
    return label(derived.read(folder), events.read(folder / "events.jsonl"), rules)


def test_a_flow_belongs_to_the_attack_in_whose_time_it_began(tmp_path: Path) -> None:
    made = Recording()
    made.attack("scan", "PortScan", 10, 20)
    made.flow(10.0, ATTACKER, SERVER, flow_duration_us=60e6)
    made.flow(21.9, ATTACKER, SERVER)
    made.flow(22.1, ATTACKER, SERVER)
    made.flow(9.9, ATTACKER, SERVER)
    made.flow(15.0, CLIENT, SERVER)
    labels = labelled(made, tmp_path)
    assert labels.label.tolist() == [SCAN, SCAN, DROPPED, DROPPED, BENIGN]
    assert labels.dropped == {"host of attacks outside of them": 2}
    assert labels.episode.tolist()[:2] == [0, 0]
    assert labels.episode.tolist()[4] == -1


def test_forged_sources_are_those_where_nobody_lives(tmp_path: Path) -> None:
    made = Recording()
    made.attack("ddos", "DDoS", 10, 20, spoofed=True)
    made.flow(12.0, "198.18.77.1", SERVER)
    made.flow(12.0, CLIENT, SERVER)
    made.flow(12.0, "10.0.0.1", SERVER)
    made.flow(12.0, ATTACKER, SERVER)
    made.flow(40.0, "198.18.77.1", SERVER)
    made.flow(12.0, "198.18.0.1", SERVER)
    assert labelled(made, tmp_path).label.tolist() == [DDOS, BENIGN, BENIGN, DROPPED, DROPPED, BENIGN]


@pytest.mark.parametrize(("rule", "due"), [("benign", BENIGN), ("drop", DROPPED)])
def test_what_the_attacked_machine_answers_follows_the_rule(tmp_path: Path, rule: str, due: int) -> None:
    made = Recording()
    made.attack("ddos", "DDoS", 10, 20, spoofed=True)
    made.flow(12.0, SERVER, "198.18.77.1")
    made.flow(12.0, SERVER, CLIENT)
    rules = Rules(2_000_000, rule, "benign")  # type: ignore[arg-type]
    assert labelled(made, tmp_path, rules).label.tolist() == [due, BENIGN]


def test_an_attack_from_inside_takes_only_its_targets(tmp_path: Path) -> None:
    made = Recording()
    made.attack("bot", "Bot", 10, 20, attackers=[SERVER], targets=[CONTROL], direction="out")
    made.flow(12.0, SERVER, CONTROL)
    made.flow(12.0, SERVER, CLIENT)
    made.source(12.0, SERVER, 0)
    assert labelled(made, tmp_path).label.tolist() == [BOT, BENIGN, BOT]


def test_destination_rows_take_the_label_of_a_ddos_alone(tmp_path: Path) -> None:
    made = Recording()
    made.attack("ddos", "DDoS", 10, 14, spoofed=True)
    made.attack("flood", "DoS", 40, 44)
    made.source(12.0, SERVER, 1)
    made.source(15.0, SERVER, 1)
    made.source(25.0, SERVER, 1)
    made.source(42.0, SERVER, 1)
    made.source(42.0, ATTACKER, 0)
    labels = labelled(made, tmp_path)
    # At 15 s the kernel's window of 10 s still holds the flood that ended at 14 s.
    assert labels.label.tolist() == [DDOS, DROPPED, BENIGN, BENIGN, DOS]
    assert labels.origins[labels.origin[3]] == "destination-beside-attack"
    dropped = labelled(made, tmp_path, Rules(2_000_000, "benign", "drop"))
    assert dropped.label.tolist() == [DDOS, DROPPED, BENIGN, DROPPED, DOS]


def test_source_counts_of_two_attacks_are_dropped(tmp_path: Path) -> None:
    made = Recording()
    made.attack("scan", "PortScan", 10, 13)
    made.attack("brute", "BruteForce", 16, 19)
    made.source(12.0, ATTACKER, 0)
    made.source(18.0, ATTACKER, 0)
    labels = labelled(made, tmp_path)
    assert labels.label.tolist() == [SCAN, DROPPED]
    assert labels.dropped == {"SOURCE counts of two attacks": 1}


def test_flows_of_two_attacks_are_dropped(tmp_path: Path) -> None:
    made = Recording()
    made.attack("scan", "PortScan", 10, 15)
    made.attack("brute", "BruteForce", 14, 19)
    made.flow(14.5, ATTACKER, SERVER)
    made.flow(18.5, ATTACKER, SERVER)
    assert labelled(made, tmp_path).label.tolist() == [DROPPED, BRUTE]


def test_an_attack_that_never_ends_labels_nothing(tmp_path: Path) -> None:
    made = Recording()
    made.attack("scan", "PortScan", 10, 15)
    made.events.pop()
    made.flow(14.5, ATTACKER, SERVER)
    labels = labelled(made, tmp_path)
    assert labels.label.tolist() == [DROPPED]
    assert labels.dropped == {"attack without an end in the log": 1}


def test_neighbour_discovery_of_an_attacker_is_no_attack(tmp_path: Path) -> None:
    made = Recording()
    made.attack("scan", "PortScan", 10, 15, attackers=["2001:2::3"], targets=["2001:2::0"])
    made.flow(12.0, "2001:2::3", "2001:2::0", protocol=58)
    made.flow(12.0, "2001:2::3", "2001:2::0", protocol=58, icmp_echo=1.0)
    assert labelled(made, tmp_path).label.tolist() == [BENIGN, SCAN]


def test_benign_rows_know_their_session(tmp_path: Path) -> None:
    made = Recording()
    made.session("browse", CLIENT, 10, 20)
    made.session("dns", CLIENT, 20.2, 22)
    for at in (15.0, 20.1, 20.5, 25.0):
        made.flow(at, CLIENT, SERVER)
    labels = labelled(made, tmp_path)
    assert [labels.origins[origin] for origin in labels.origin] == ["browse", "browse", "dns", "other"]
    assert np.all(labels.label == BENIGN)
