"""What `prepare` makes and all other commands read: rows with labels, in one folder."""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer.derived import F32, I64, U8, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json, sha256, strings, write_arrays, write_json

FORMAT = 2
ARRAYS = "dataset.npz"
ABOUT = "dataset.json"
I32 = npt.NDArray[np.int32]
# Rows checked for NaN at a time.
_CHUNK = 65_536


@dataclass(frozen=True)
class Arrays:
    """One entry per row."""

    x: F32
    # Class number.
    y: U8
    kind: U8
    stage: U8
    role: U8
    # Number of the run.
    run: I32
    # Number of the attack run over all runs; −1 for benign rows.
    episode: I32
    # Number into `origins`.
    origin: I32
    # Rows of one 5-tuple (FLOW) or address (SOURCE) of one run share it.
    group: npt.NDArray[np.uint64]
    # Number of the address that opened the flow, over all runs; for counting hosts only.
    host: I32
    # Microseconds since 1970, or since the start of the recording machine; 0 where unknown.
    time_us: I64
    # Number into `labels`.
    label: I32

    def take(self, mask: Bool | I64) -> "Arrays":
        """The rows of a mask, or of these numbers."""
        return Arrays(**{item.name: getattr(self, item.name)[mask] for item in fields(self)})


_DTYPES = {
    "x": "float32",
    "y": "uint8",
    "kind": "uint8",
    "stage": "uint8",
    "role": "uint8",
    "run": "int32",
    "episode": "int32",
    "origin": "int32",
    "group": "uint64",
    "host": "int32",
    "time_us": "int64",
    "label": "int32",
}


@dataclass(frozen=True)
class Dataset:
    """Rows with labels, and where they come from."""

    arrays: Arrays
    features: list[str]
    table_digest: str
    origins: list[str]
    # Per run: name, split, seed, scenario, digests.
    runs: list[dict[str, Any]]
    # Per attack run: its title and run.
    episodes: list[str]
    report: dict[str, Any]
    settings: dict[str, Any]
    # The labels' own texts: of a table, or the origins of a recording.
    labels: list[str]
    # Whose features these are: "ganglion", "cicflowmeter", …
    profile: str
    digest: str = ""

    def split(self, name: str) -> Arrays:
        """The rows of the runs of one split."""
        wanted = np.array([run["split"] == name for run in self.runs], dtype=bool)
        return self.arrays.take(wanted[self.arrays.run])


def write(dataset: Dataset, folder: Path) -> None:
    """Writes arrays and description."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"{folder}: {error.strerror}") from error
    values = {item.name: getattr(dataset.arrays, item.name) for item in fields(Arrays)}
    write_arrays(folder / ARRAYS, values)
    about = {
        "format": FORMAT,
        "rows": len(dataset.arrays.y),
        "table_digest": dataset.table_digest,
        "runs": dataset.runs,
        "episodes": dataset.episodes,
        "origins": dataset.origins,
        "labels": dataset.labels,
        "profile": dataset.profile,
        "report": dataset.report,
        "settings": dataset.settings,
        "digest": sha256(folder / ARRAYS),
        "features": dataset.features,
    }
    write_json(folder / ABOUT, about)


def read(folder: Path) -> Dataset:
    """Reads what `write` wrote and checks that it fits together."""
    path = folder / ABOUT
    about, where = read_json(path), str(path)
    version = field(about, "format", int, where)
    if version != FORMAT:
        raise TrainerError(f"{path}: format {version}, this program reads format {FORMAT}")
    digest = field(about, "digest", str, where)
    if sha256(folder / ARRAYS) != digest:
        raise TrainerError(f"{folder / ARRAYS}: not the file that {ABOUT} describes: prepare it anew")
    arrays = _arrays(folder / ARRAYS)
    features, origins, episodes, labels = (
        strings(about, name, where) for name in ("features", "origins", "episodes", "labels")
    )
    runs: list[dict[str, Any]] = field(about, "runs", list, where)
    rows = field(about, "rows", int, where)
    if arrays.x.shape != (rows, len(features)):
        raise TrainerError(f"{path}: {rows} rows of {len(features)} columns, the arrays hold {arrays.x.shape}")
    for name, limit in (
        ("run", len(runs)),
        ("origin", len(origins)),
        ("episode", len(episodes)),
        ("label", len(labels)),
        ("y", 10),
    ):
        values = getattr(arrays, name)
        if rows and (int(values.min()) < -1 or int(values.max()) >= limit):
            raise TrainerError(f"{folder / ARRAYS}: {name} out of range")
    for run in runs:
        field(run, "split", str, where)
    return Dataset(
        arrays,
        features,
        field(about, "table_digest", str, where),
        origins,
        runs,
        episodes,
        field(about, "report", dict, where),
        field(about, "settings", dict, where),
        labels,
        field(about, "profile", str, where),
        digest,
    )


def _arrays(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in _DTYPES}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TrainerError(f"{path}: {error}") from error
    except KeyError as error:
        raise TrainerError(f"{path}: array {error} is missing") from error
    for name, value in values.items():
        if value.dtype != np.dtype(_DTYPES[name]) or len(value) != len(values["y"]) or value.ndim != 1 + (name == "x"):
            raise TrainerError(f"{path}: array {name!r} is {value.dtype}{list(value.shape)}")
    for start in range(0, len(values["x"]), _CHUNK):
        if not np.isfinite(values["x"][start : start + _CHUNK]).all():
            raise TrainerError(f"{path}: NaN or infinity among the rows")
    return Arrays(**values)
