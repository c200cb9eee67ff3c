"""Small recordings in the exporter's format, with everything the label rules speak of."""

import json
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = (
    "flow_duration_us",
    "silence_us",
    "icmp_echo",
    "icmp_error",
    "is_source_record",
    "answered",
    "fwd_packets",
    "fwd_window_first",
    "ece_packets",
    "src_1s_flows_started",
    "src_10s_same_service_share",
    "dst_1s_peers",
    "source_new_window",
    "source_peers_per_new",
)
HEADER = "time_us,kind,role,stage,reason,hook,protocol,initiator,responder,initiator_port,responder_port,packets,flow"
SERVER, CLIENT, CLIENT_2, ATTACKER, CONTROL = "198.18.0.10", "198.18.1.11", "198.18.1.12", "198.19.1.11", "198.19.2.10"
NETWORKS = ["198.18.0.0/22", "198.19.0.0/22"]
S = 1_000_000
CLASSES = {"Benign": 1, "DDoS": 2, "DoS": 3, "PortScan": 4, "Bot": 5, "BruteForce": 6, "Web": 7, "Infiltration": 9}


class Recording:
    """A run under construction."""

    def __init__(self, split: str = "train", seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.events: list[dict[str, Any]] = []
        self.rows: list[list[float]] = []
        self.meta: list[str] = []
        self.sessions = 0
        hosts = [
            ("server", SERVER),
            ("client", CLIENT),
            ("client", CLIENT_2),
            ("attacker", ATTACKER),
            ("control", CONTROL),
        ]
        listed = [
            {"name": f"host-{i}", "role": role, "v4": v4, "v6": f"2001:2::{i:x}"} for i, (role, v4) in enumerate(hosts)
        ]
        about = {"event": "range", "version": 1, "scenario": "range", "seed": seed, "split": split}
        self.events.append(
            {"boot_ns": 0, **about, "network": "198.18.0.0/15", "host_networks": NETWORKS, "hosts": listed}
        )

    def attack(self, name: str, kind: str, start_s: float, end_s: float, **other: Any) -> None:  # noqa: ANN401
        """The two lines of an attack from the attacker on the server, unless `other` says otherwise."""
        run = {
            "name": name,
            "repetition": 0,
            "class": kind,
            "label": CLASSES[kind],
            "attackers": [ATTACKER],
            "targets": [SERVER],
            "direction": "in",
            "spoofed": False,
            "started_boot_ns": int(start_s * 1e9),
            "ended_boot_ns": int(end_s * 1e9),
            **other,
        }
        self.events.append({"boot_ns": 0, "event": "attack_start", **run, "ended_boot_ns": 0})
        self.events.append({"boot_ns": 0, "event": "attack_end", **run})

    def session(self, name: str, client: str, start_s: float, end_s: float) -> None:
        """The two lines of a benign session."""
        self.sessions += 1
        for event, at in (("benign_start", start_s), ("benign_end", end_s)):
            line = {"boot_ns": int(at * 1e9), "event": event, "id": self.sessions, "name": name, "peers": [client]}
            self.events.append(line)

    def flow(self, start_s: float, initiator: str, responder: str, **values: float) -> None:
        """A FLOW row; `stage`, `protocol` and ports may be among the values."""
        duration = values.pop("flow_duration_us", float(self.rng.integers(10, 5000)))
        stage, protocol = int(values.pop("stage", 0)), int(values.pop("protocol", 6))
        ports = int(values.pop("port", self.rng.integers(1024, 65535))), int(values.pop("to_port", 80))
        time_us = int(start_s * S) + int(duration) + 500
        known = {"flow_duration_us": duration, "silence_us": 500.0, **values}
        self._row(known)
        self.meta.append(f"{time_us},1,,{stage},0,0,{protocol},{initiator},{responder},{ports[0]},{ports[1]},4,ab")

    def source(self, time_s: float, address: str, role: int, **values: float) -> None:
        """A SOURCE row."""
        self._row({"is_source_record": 1.0, **values})
        self.meta.append(f"{int(time_s * S)},2,{role},7,9,0,0,{address},,0,0,0,0")

    def _row(self, values: dict[str, float]) -> None:
        assert not set(values) - set(FEATURES), values
        self.rows.append([values.get(name, 0.0) for name in FEATURES])

    def write(self, folder: Path) -> Path:
        """All four files."""
        folder.mkdir(parents=True, exist_ok=True)
        np.array(self.rows, dtype="<f4").tofile(folder / "rows.f32")
        (folder / "meta.csv").write_text("\n".join([HEADER, *self.meta]) + "\n")
        about = {"format": 1, "rows": len(self.rows), "columns": len(FEATURES), "digest": "d", "features": FEATURES}
        (folder / "features.json").write_text(json.dumps(about))
        (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in self.events))
        return folder


def recording(split: str, seed: int, rounds: int = 3) -> Recording:
    """Benign clients all the time, and rounds of scan, flood from forged sources and brute force."""
    made = Recording(split, seed)
    rng, end = made.rng, 60.0 * rounds
    for client, kind in ((CLIENT, "browse"), (CLIENT_2, "poll")):
        made.session(kind, client, 0, end)
        for at in np.sort(rng.uniform(0, end - 1, 60 * rounds)):
            packets, port = float(rng.integers(6, 60)), int(rng.integers(1024, 65535))
            known = {"answered": 1.0, "fwd_window_first": 64000.0, "dst_1s_peers": float(rng.integers(1, 5))}
            known |= {"src_1s_flows_started": float(rng.integers(1, 6)), "src_10s_same_service_share": 1.0}
            made.flow(float(at), client, SERVER, fwd_packets=packets / 2, stage=1, port=port, **known)
            made.flow(float(at), client, SERVER, fwd_packets=packets, port=port, **known)
    for at in np.arange(5, end, 10):
        made.source(float(at), CLIENT, 0, source_new_window=8.0, source_peers_per_new=0.1, src_1s_flows_started=4.0)
    for turn in range(rounds):
        _attacks(made, turn, 60.0 * turn, split)
    return made


def _attacks(made: Recording, turn: int, start: float, split: str) -> None:
    rng = made.rng
    more = 1.5 if split == "test" else 1.0
    made.attack("scan-syn", "PortScan", start + 5, start + 9, repetition=turn)
    for i in range(60):
        made.flow(
            start + 5 + i * 0.05, ATTACKER, SERVER, fwd_packets=1.0, to_port=i + 1, dst_1s_peers=3.0,
            src_1s_flows_started=20 * more + rng.integers(20), src_10s_same_service_share=0.02,
        )  # fmt: skip
    for i in range(4):
        made.source(start + 6 + i, ATTACKER, 0, source_new_window=32.0 * (i + 1), source_peers_per_new=0.01)
    made.attack("ddos-syn", "DDoS", start + 20, start + 24, repetition=turn, spoofed=True)
    for i in range(120):
        forged = f"198.18.{10 + i}.{int(rng.integers(1, 250))}"
        made.flow(
            start + 20 + i * 0.03, forged, SERVER, fwd_packets=1.0, src_1s_flows_started=1.0,
            src_10s_same_service_share=1.0, dst_1s_peers=200 * more + rng.integers(100),
        )  # fmt: skip
    for i in range(4):
        made.source(start + 21 + i * 0.5, SERVER, 1, source_new_window=128.0 * (i + 1), source_peers_per_new=0.95)
    made.attack("brute-ssh", "BruteForce", start + 40, start + 46, repetition=turn)
    for i in range(40):
        made.flow(
            start + 40 + i * 0.12, ATTACKER, SERVER, fwd_packets=float(rng.integers(12, 16)), to_port=22,
            answered=1.0, src_1s_flows_started=8.0 * more + rng.integers(3), src_10s_same_service_share=1.0,
            dst_1s_peers=3.0,
        )  # fmt: skip
