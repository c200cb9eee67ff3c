"""Rows as `ganglion features derive` writes them: `rows.f32`, `meta.csv`, `features.json`."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json, strings

FORMAT = 1
META_COLUMNS = (
    "time_us",
    "kind",
    "role",
    "stage",
    "reason",
    "hook",
    "protocol",
    "initiator",
    "responder",
    "initiator_port",
    "responder_port",
    "packets",
    "flow",
)
FLOW, SOURCE = 1, 2
STAGES = ("end", "packets-8", "packets-32", "packets-128", "age-1s", "age-5s", "age-30s", "source")
# Rows checked for NaN at a time.
_CHUNK = 65_536

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Meta:
    """What is known beside the rows. Labels come from it; it is never an input."""

    time_us: I64
    kind: U8
    # 0 source, 1 destination, 255 in FLOW rows.
    role: U8
    stage: U8
    protocol: U8
    # Numbers into `addresses`; the empty address is the responder of SOURCE rows.
    initiator: I64
    responder: I64
    ports: I64
    addresses: list[str]


@dataclass(frozen=True)
class Derived:
    """The rows of one recording."""

    folder: Path
    features: list[str]
    digest: str
    rows: F32
    meta: Meta

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One column, by its name."""
        if name not in self.features:
            raise TrainerError(f"{self.folder / 'features.json'}: column {name!r} is missing")
        return np.asarray(self.rows[:, self.features.index(name)], dtype=np.float64)


def read(folder: Path) -> Derived:
    """Reads and checks the three files."""
    about = folder / "features.json"
    value = read_json(about)
    version = field(value, "format", int, str(about))
    if version != FORMAT:
        raise TrainerError(f"{about}: format {version}, this program reads format {FORMAT}")
    features = strings(value, "features", str(about))
    columns, count = field(value, "columns", int, str(about)), field(value, "rows", int, str(about))
    if columns != len(features) or len(set(features)) != columns or not features:
        raise TrainerError(f"{about}: {columns} columns, but {len(set(features))} distinct names")
    rows = _rows(folder / "rows.f32", count, features)
    meta = _meta(folder / "meta.csv", count)
    return Derived(folder, features, field(value, "digest", str, str(about)), rows, meta)


def _rows(path: Path, count: int, features: list[str]) -> F32:
    due = 4 * count * len(features)
    try:
        size = path.stat().st_size
        if size != due:
            raise TrainerError(
                f"{path}: {size} bytes, {due} are due for {count} rows of {len(features)} columns: derive it anew"
            )
        if count == 0:
            raise TrainerError(f"{path}: no rows")
        rows = np.memmap(path, dtype="<f4", mode="r", shape=(count, len(features)))
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    for start in range(0, count, _CHUNK):
        bad = np.argwhere(~np.isfinite(rows[start : start + _CHUNK]))
        if len(bad):
            row, column = int(bad[0][0]) + start, int(bad[0][1])
            raise TrainerError(f"{path}: row {row}, column {features[column]!r} is {rows[row, column]}, not finite")
    return rows


def _meta(path: Path, count: int) -> Meta:
    numbers: list[tuple[int, ...]] = []
    ends: list[tuple[int, int]] = []
    ids: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            missing = [name for name in META_COLUMNS if name not in header]
            if missing:
                raise TrainerError(f"{path}: column {', '.join(missing)} is missing")
            at = {name: header.index(name) for name in META_COLUMNS}
            for line in lines:
                numbers.append(_numbers(line, at))
                initiator, responder = line[at["initiator"]], line[at["responder"]]
                ends.append((ids.setdefault(initiator, len(ids)), ids.setdefault(responder, len(ids))))
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    except (ValueError, IndexError, csv.Error) as error:
        raise TrainerError(f"{path}: line {len(ends) + 2}: {error}") from error
    if len(numbers) != count:
        raise TrainerError(f"{path}: {len(numbers)} rows, features.json says {count}")
    table = np.array(numbers, dtype=np.int64)
    both = np.array(ends, dtype=np.int64)
    small = table[:, 1:5].astype(np.uint8)
    return Meta(
        table[:, 0], small[:, 0], small[:, 1], small[:, 2], small[:, 3], both[:, 0], both[:, 1], table[:, 5], list(ids)
    )


def _numbers(line: list[str], at: dict[str, int]) -> tuple[int, ...]:
    kind, stage, protocol = (int(line[at[name]]) for name in ("kind", "stage", "protocol"))
    role = line[at["role"]]
    if kind not in (FLOW, SOURCE) or not 0 <= stage < len(STAGES) or not 0 <= protocol < 256:
        raise ValueError(f"kind {kind}, stage {stage}, protocol {protocol}")
    if role not in (("",) if kind == FLOW else ("0", "1")):
        raise ValueError(f"role {role!r} in a row of kind {kind}")
    time_us = int(line[at["time_us"]])
    ports = [int(line[at[name]]) for name in ("initiator_port", "responder_port")]
    if not 0 <= time_us < 1 << 62 or not all(0 <= port < 65_536 for port in ports):
        raise ValueError(f"time {time_us}, ports {ports}")
    return time_us, kind, int(role or 255), stage, protocol, ports[0] << 16 | ports[1]
