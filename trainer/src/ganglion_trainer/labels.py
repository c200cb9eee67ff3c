"""Which class each row has, by the event log. The rules are those of README.md, "Labels".

A FLOW row is judged by the time of its flow's first packet, a SOURCE row by its own time.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ganglion_trainer.classes import BENIGN, DDOS
from ganglion_trainer.derived import FLOW, SOURCE, Bool, Derived
from ganglion_trainer.events import Attack, Log

# f32 columns give a flow's start to within this, µs.
_SLACK_US = 1_000
# The kernel's window of SOURCE counts, µs.
_WINDOW_US = 10_000_000
# A flow may come this long after the end of its session, µs.
_SESSION_US = 1_000_000
_ICMPV6 = 58

UNSET = -1
DROPPED = -2

Rule = Literal["benign", "drop"]


@dataclass(frozen=True)
class Rules:
    """What is left to choice."""

    grace_us: int
    answers: Rule
    destination_beside_attack: Rule


class Labels:
    """Labels under construction: every row has one reason or one label in the end."""

    def __init__(self, rows: int) -> None:
        self.label = np.full(rows, UNSET, dtype=np.int16)
        # Number of the attack run; −1 for benign rows.
        self.episode = np.full(rows, -1, dtype=np.int32)
        # Number into `origins`: attack, kind of benign session, or rule.
        self.origin = np.zeros(rows, dtype=np.int32)
        self.origins: list[str] = []
        self.dropped: Counter[str] = Counter()

    def _origin(self, name: str) -> int:
        if name not in self.origins:
            self.origins.append(name)
        return self.origins.index(name)

    def attack(self, mask: Bool, number: int, attack: Attack) -> None:
        """The rows belong to this attack; if they already belong to one of another class, to none."""
        if attack.end_us is None:
            self.drop(mask & (self.label != DROPPED), "attack without an end in the log")
            return
        taken = mask & (self.label >= 0) & (self.label != attack.label)
        self.drop(taken, "two attacks of different classes")
        free = mask & (self.label != DROPPED)
        self.label[free] = attack.label
        self.episode[free] = number
        self.origin[free] = self._origin(attack.name)

    def benign(self, mask: Bool, origin: str) -> None:
        """The rows that have no label yet are benign."""
        free = mask & (self.label == UNSET)
        self.label[free] = BENIGN
        self.origin[free] = self._origin(origin)

    def drop(self, mask: Bool, reason: str) -> None:
        """The rows are not used."""
        count = int(np.count_nonzero(mask & (self.label != DROPPED)))
        self.label[mask] = DROPPED
        if count:
            self.dropped[reason] += count

    def by_rule(self, mask: Bool, rule: Rule, name: str) -> None:
        """Rows without a label are benign or dropped, as the settings say."""
        if rule == "drop":
            self.drop(mask & (self.label == UNSET), name)
        else:
            self.benign(mask, name)


class _Rows:
    """Columns that all rules read."""

    def __init__(self, derived: Derived, log: Log) -> None:
        meta = derived.meta
        self.meta = meta
        self.flow = meta.kind == FLOW
        self.source = (meta.kind == SOURCE) & (meta.role == 0)
        self.destination = (meta.kind == SOURCE) & (meta.role == 1)
        first = meta.time_us - np.rint(derived.column("silence_us") + derived.column("flow_duration_us")).astype(
            np.int64
        )
        self.moment = np.where(self.flow, first, meta.time_us)
        # Counts of a SOURCE row begin here.
        self.window = meta.time_us - meta.time_us % _WINDOW_US
        nd = (meta.protocol == _ICMPV6) & (derived.column("icmp_echo") == 0) & (derived.column("icmp_error") == 0)
        self.neighbour_discovery = self.flow & nd
        self.forged = np.array([log.forged(address) for address in meta.addresses], dtype=bool)
        self._ids = {address: number for number, address in enumerate(meta.addresses)}
        self.hostile = self.named(log.hostile()) | self.forged

    def named(self, addresses: frozenset[str]) -> Bool:
        """Per address: whether it is one of these."""
        named = np.zeros(len(self._ids), dtype=bool)
        named[[self._ids[address] for address in addresses if address in self._ids]] = True
        return named

    def senders(self, attack: Attack) -> Bool:
        """Per address: whether the attack comes from it."""
        return self.forged if attack.spoofed else self.named(attack.attackers)


def label(derived: Derived, log: Log, rules: Rules) -> Labels:
    """Labels every row or says why not."""
    rows = _Rows(derived, log)
    labels = Labels(len(derived.rows))
    for number, attack in enumerate(log.attacks):
        _flows(rows, labels, number, attack, rules)
        _sources(rows, labels, number, attack, rules)
        _destinations(rows, labels, number, attack, rules)
    labels.benign(rows.neighbour_discovery, "neighbour-discovery")
    ends = rows.hostile[rows.meta.initiator] | (rows.flow & rows.hostile[rows.meta.responder])
    labels.drop((labels.label == UNSET) & ends, "host of attacks outside of them")
    _mixed(rows, labels, log)
    _sessions(rows, labels, log)
    labels.benign(labels.label == UNSET, "other")
    return labels


def _during(moment: npt.NDArray[np.int64], attack: Attack, grace_us: int) -> Bool:
    late = np.inf if attack.end_us is None else attack.end_us + grace_us
    return np.asarray((moment >= attack.start_us - _SLACK_US) & (moment <= late))


def _flows(rows: _Rows, labels: Labels, number: int, attack: Attack, rules: Rules) -> None:
    meta, senders, targets = rows.meta, rows.senders(attack), rows.named(attack.targets)
    inside = rows.flow & _during(rows.moment, attack, rules.grace_us) & ~rows.neighbour_discovery
    labels.attack(inside & senders[meta.initiator] & targets[meta.responder], number, attack)
    back = inside & targets[meta.initiator] & senders[meta.responder]
    labels.by_rule(back, rules.answers, "answers")


def _sources(rows: _Rows, labels: Labels, number: int, attack: Attack, rules: Rules) -> None:
    inside = rows.source & _during(rows.moment, attack, rules.grace_us)
    labels.attack(inside & rows.senders(attack)[rows.meta.initiator], number, attack)


def _destinations(rows: _Rows, labels: Labels, number: int, attack: Attack, rules: Rules) -> None:
    # No grace: after the end the next benign client would be taken for the flood.
    inside = rows.destination & _during(rows.moment, attack, 0)
    at_target = inside & rows.named(attack.targets)[rows.meta.initiator]
    if attack.label == DDOS:
        labels.attack(at_target, number, attack)
        return
    other = inside & rows.senders(attack)[rows.meta.initiator]
    # A DDoS at the same time decides, whichever the log names first.
    ddos = labels.label == DDOS
    labels.by_rule((at_target | other) & ~ddos, rules.destination_beside_attack, "destination-beside-attack")


def _mixed(rows: _Rows, labels: Labels, log: Log) -> None:
    """Drops SOURCE rows whose counts also hold an attack that their label does not name."""
    meta = rows.meta
    for attack in log.attacks:
        end = attack.end_us if attack.end_us is not None else np.iinfo(np.int64).max
        overlaps = (rows.window <= end) & (meta.time_us >= attack.start_us)
        foreign = overlaps & (labels.label != attack.label)
        sent = rows.source & rows.senders(attack)[meta.initiator]
        # What the attacked machine answered stands in its own counts.
        answered = rows.source & rows.named(attack.targets)[meta.initiator] & (labels.label > BENIGN)
        labels.drop(foreign & (sent | answered), "SOURCE counts of two attacks")
        if attack.label == DDOS:
            hit = rows.destination & rows.named(attack.targets)[meta.initiator]
            labels.drop(foreign & hit, "DESTINATION counts of a DDoS that is over")


def _sessions(rows: _Rows, labels: Labels, log: Log) -> None:
    meta = rows.meta
    # The latest first: a flow within the second after one session may well be the next one's.
    for session in reversed(log.sessions):
        peers = rows.named(session.peers)
        inside = (rows.moment >= session.start_us - _SLACK_US) & (rows.moment <= session.end_us + _SESSION_US)
        other = rows.flow & peers[meta.responder]
        labels.benign(inside & (peers[meta.initiator] | other), session.name)
