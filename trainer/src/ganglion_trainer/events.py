"""The laboratory's event log: what really happened on the wire, and when."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganglion_trainer import classes
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, strings

VERSION = 1
# Hosts of these roles do nothing benign.
_HOSTILE_ROLES = ("attacker", "control", "neighbour")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Attack:
    """One run of an attack. Times in µs since boot; no end when the log breaks off."""

    name: str
    repetition: int
    label: int
    attackers: frozenset[str]
    targets: frozenset[str]
    outbound: bool
    spoofed: bool
    start_us: int
    end_us: int | None

    @property
    def title(self) -> str:
        """As in reports."""
        return f"{self.name} #{self.repetition}"


@dataclass(frozen=True)
class Session:
    """One benign session."""

    name: str
    peers: frozenset[str]
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Log:
    """A whole run."""

    scenario: str
    seed: int
    split: str
    network: Network
    # Parts of it that no source is forged from.
    host_networks: list[Network]
    hosts: dict[str, str]
    attacks: list[Attack]
    sessions: list[Session]

    def hostile(self) -> frozenset[str]:
        """Addresses of hosts that do nothing benign."""
        return frozenset(address for address, role in self.hosts.items() if role in _HOSTILE_ROLES)

    def forged(self, address: str) -> bool:
        """Whether the address lies in the range and is nobody's."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        inhabited = address in self.hosts or any(parsed in network for network in self.host_networks)
        return parsed in self.network and not inhabited


def read(path: Path) -> Log:
    """Reads and checks a log; a last line that was cut off is left out."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise TrainerError(f"{path}: {error}") from error
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        if line.strip():
            reader.line(line, f"{path}: line {number}", last=number == len(lines))
    return reader.log(str(path))


class _Reader:
    def __init__(self) -> None:
        self.range: dict[str, Any] | None = None
        self.attacks: dict[tuple[str, int], Attack] = {}
        self.sessions: dict[int, Session] = {}

    def line(self, text: str, where: str, *, last: bool) -> None:
        try:
            value = json.loads(text)
        except ValueError as error:
            if last:
                return
            raise TrainerError(f"{where}: no JSON: {error}") from error
        if not isinstance(value, dict):
            raise TrainerError(f"{where}: a JSON object is due")
        event = field(value, "event", str, where)
        if event == "range":
            version = field(value, "version", int, where)
            if version != VERSION:
                raise TrainerError(f"{where}: event log of version {version}, this program reads version {VERSION}")
            self.range = value
        elif event in ("attack_start", "attack_end"):
            attack = _attack(value, where, ended=event == "attack_end")
            self.attacks[attack.name, attack.repetition] = attack
        elif event in ("benign_start", "benign_end"):
            self._session(value, where, ended=event == "benign_end")
        else:
            raise TrainerError(f"{where}: unknown event {event!r}")

    def _session(self, value: dict[str, Any], where: str, *, ended: bool) -> None:
        number = field(value, "id", int, where)
        time_us = field(value, "boot_ns", int, where) // 1000
        started = self.sessions[number].start_us if ended and number in self.sessions else time_us
        # Until its end is seen it goes on.
        end = time_us if ended else 1 << 62
        peers = frozenset(strings(value, "peers", where))
        self.sessions[number] = Session(field(value, "name", str, where), peers, started, end)

    def log(self, where: str) -> Log:
        if self.range is None:
            raise TrainerError(f"{where}: no `range` line: not an event log, or cut off at its start")
        hosts = {}
        for host in field(self.range, "hosts", list, where):
            if not isinstance(host, dict):
                raise TrainerError(f"{where}: a host is no object")
            for family in ("v4", "v6"):
                hosts[field(host, family, str, where)] = field(host, "role", str, where)
        split = field(self.range, "split", str, where)
        if split not in ("train", "test"):
            raise TrainerError(f"{where}: split {split!r}, train or test is due")
        try:
            network = ipaddress.ip_network(field(self.range, "network", str, where))
            inhabited = [ipaddress.ip_network(part) for part in strings(self.range, "host_networks", where)]
        except ValueError as error:
            raise TrainerError(f"{where}: network: {error}") from error
        return Log(
            field(self.range, "scenario", str, where),
            field(self.range, "seed", int, where),
            split,
            network,
            inhabited,
            hosts,
            sorted(self.attacks.values(), key=lambda attack: attack.start_us),
            sorted(self.sessions.values(), key=lambda session: session.start_us),
        )


def _attack(value: dict[str, Any], where: str, *, ended: bool) -> Attack:
    label = field(value, "label", int, where)
    known = classes.number(field(value, "class", str, where), where)
    if label != known:
        raise TrainerError(f"{where}: class {value['class']!r} has number {known}, the line says {label}")
    if label <= classes.BENIGN:
        raise TrainerError(f"{where}: an attack of class {value['class']!r}")
    direction = field(value, "direction", str, where)
    if direction not in ("in", "out"):
        raise TrainerError(f"{where}: direction {direction!r}, in or out is due")
    start = field(value, "started_boot_ns", int, where) // 1000
    end = -(-field(value, "ended_boot_ns", int, where) // 1000) if ended else None
    if end is not None and end < start:
        raise TrainerError(f"{where}: the attack ends before it starts")
    return Attack(
        field(value, "name", str, where),
        field(value, "repetition", int, where),
        label,
        frozenset(strings(value, "attackers", where)),
        frozenset(strings(value, "targets", where)),
        direction == "out",
        field(value, "spoofed", bool, where),
        start,
        end,
    )
