"""Which columns the model reads, and how rows are weighed and grouped."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.config import Config
from ganglion_trainer.dataset import Arrays
from ganglion_trainer.derived import F32, Bool
from ganglion_trainer.errors import TrainerError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Columns that would be an address, a port or a time of day, whatever the table may hold one day.
_RAW = ("addr", "address", "port", "time", "timestamp", "initiator", "responder")
# Tells rows of SOURCE records from others; the anomaly score needs it.
SELECTOR = "is_source_record"


@dataclass(frozen=True)
class Columns:
    """The model's inputs."""

    names: list[str]
    at: I64
    # Why each other column is none.
    left_out: dict[str, str]

    def of(self, x: F32) -> F32:
        """The columns of rows."""
        return np.ascontiguousarray(x[:, self.at])

    @property
    def selector(self) -> int | None:
        """Where the selector stands among the inputs."""
        return self.names.index(SELECTOR) if SELECTOR in self.names else None


def choose(features: list[str], x: F32, config: Config) -> Columns:
    """All columns that vary and that no rule excludes."""
    varies = x.min(axis=0) != x.max(axis=0)
    names, at, left_out = [], [], {}
    for index, feature in enumerate(features):
        words = feature.split("_")
        why = config.excluded(feature)
        if words[-1] in _RAW:
            left_out[feature] = "an address, a port or a time is never an input"
        elif why is not None:
            left_out[feature] = why
        elif not varies[index]:
            left_out[feature] = "never varies"
        else:
            names.append(feature)
            at.append(index)
    if not names:
        raise TrainerError("no column is left as input: all are excluded or never vary")
    return Columns(names, np.array(at, dtype=np.int64), left_out)


def usable_classes(arrays: Arrays, config: Config) -> tuple[list[int], dict[str, str]]:
    """Classes with enough flows, and why the others stay empty."""
    least = config.train["min_groups"]
    found, empty = [], {}
    for label in sorted({int(label) for label in np.unique(arrays.y)}):
        groups = len(np.unique(arrays.group[arrays.y == label]))
        if groups < least:
            empty[name(label)] = f"{groups} flows, at least {least} are due"
        else:
            found.append(label)
    if BENIGN not in found:
        raise TrainerError(f"class Benign is empty: {empty.get('Benign', 'no benign row in the training runs')}")
    if len(found) < 2:
        raise TrainerError(f"no attack class has enough rows: {empty or 'the training runs hold benign rows only'}")
    return found, empty


def weights(arrays: Arrays, classes: list[int], benign_weight: float, evenness: float) -> F64:
    """Every class weighs the same (Benign more), and within it every origin and kind of row.

    An origin is an attack of the scenario or a kind of benign session: a flood of thousands of flows then
    hardly counts more than a brute force of fifty. With `evenness` 1 all origins weigh the same, with 0 all rows.
    """
    weight = np.zeros(len(arrays.y))
    cell = arrays.origin.astype(np.int64) * 4 + arrays.kind
    for label in classes:
        mine = arrays.y == label
        _, inverse, counts = np.unique(cell[mine], return_inverse=True, return_counts=True)
        own = (counts.astype(np.float64) ** -evenness)[inverse]
        share = benign_weight if label == BENIGN else 1.0
        weight[mine] = own * share / own.sum()
    return np.asarray(weight * (len(weight) / weight.sum()))


def fold_groups(arrays: Arrays) -> npt.NDArray[np.uint64]:
    """Rows that must stay together: one run of an attack that was run several times, else a 5-tuple.

    A fold then asks what the held-out runs ask: the same attack again, with other settings. To hold out the
    only run of an attack would ask for attacks never seen, and calibrate the model to be shy.
    """
    groups = arrays.group.copy()
    for origin in np.unique(arrays.origin[arrays.episode >= 0]):
        mine = (arrays.origin == origin) & (arrays.episode >= 0)
        if len(np.unique(arrays.episode[mine])) >= 2:
            groups[mine] = arrays.episode[mine].astype(np.uint64)
    return groups


def quiet_benign(arrays: Arrays, origins: list[str]) -> Bool:
    """Benign rows that no attack made: what normal looks like."""
    odd = [number for number, origin in enumerate(origins) if origin in ("answers", "destination-beside-attack")]
    return np.asarray((arrays.y == BENIGN) & ~np.isin(arrays.origin, odd))
