"""What is wrong with rows, counted; and which are left."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ganglion_trainer.derived import F32, I64, Bool
from ganglion_trainer.hashing import U64, fold

NonFinite = Literal["drop", "zero"]
# The shortest header of TCP, and of everything else.
_TCP, _TCP_HEADER, _OTHER_HEADER = 6, 20, 8
_WRAP = 65_536


@dataclass
class Tally:
    """What was found in one file."""

    rows: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    nan: Counter[str] = field(default_factory=Counter)
    infinite: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    mended_headers: Counter[str] = field(default_factory=Counter)
    times_unknown: int = 0

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "dropped": dict(self.dropped.most_common()),
            "nan": dict(self.nan.most_common()),
            "infinite": dict(self.infinite.most_common()),
            "unreadable": dict(self.unreadable.most_common()),
            "mended_headers": dict(self.mended_headers.most_common()),
            "times_unknown": self.times_unknown,
        }


def finite(names: list[str], x: F32, unreadable: dict[str, Bool], tally: Tally, how: NonFinite) -> Bool:
    """Which rows hold numbers alone. What is none becomes 0 in place, and the row stays if that is wished."""
    good = np.ones(len(x), dtype=bool)
    odd = np.zeros(len(x), dtype=bool)
    nothing = np.zeros(len(x), dtype=bool)
    for place, name in enumerate(names):
        values = x[:, place]
        broken = ~np.isfinite(values)
        if not broken.any():
            continue
        bad = unreadable.get(name, nothing)
        nan = np.isnan(values) & ~bad
        for counts, mask in ((tally.nan, nan), (tally.infinite, np.isinf(values)), (tally.unreadable, bad)):
            if mask.any():
                counts[name] += int(mask.sum())
        good &= ~bad
        odd |= broken & ~bad
        values[broken] = 0.0
    if (~good).any():
        tally.dropped["a cell is no number"] += int((~good).sum())
    if how == "drop" and (odd & good).any():
        tally.dropped["NaN or infinity"] += int((odd & good).sum())
        good &= ~odd
    return good


def mend_headers(columns: dict[str, F32], headers: dict[str, str], protocol: str, tally: Tally) -> None:
    """Sums of header bytes that wrapped around at 16 bits, in place.

    Such a sum is negative. The true one is the least that agrees with it in 16 bits and is enough for the
    shortest headers of its packets.
    """
    for name, over in headers.items():
        if name not in columns or over not in columns:
            continue
        values, packets = columns[name], columns[over]
        wrapped = values < 0
        if not wrapped.any():
            continue
        kind = columns.get(protocol)
        least = np.where(kind[wrapped] == _TCP, _TCP_HEADER, _OTHER_HEADER) if kind is not None else _OTHER_HEADER
        due = np.maximum(np.nan_to_num(packets[wrapped]) * least, 0)
        values[wrapped] += np.float32(_WRAP) * np.maximum(np.ceil((due - values[wrapped]) / _WRAP), 1)
        tally.mended_headers[name] += int(wrapped.sum())


def row_hashes(x: F32) -> U64:
    """A hash of each row's features."""
    bits = (x + np.float32(0)).view(np.uint32)
    return fold([bits[:, place].astype(np.uint64) for place in range(bits.shape[1])])


def repeated(hashes: U64) -> Bool:
    """Rows that are equal to an earlier one."""
    order = np.argsort(hashes, kind="stable")
    again = np.zeros(len(hashes), dtype=bool)
    own = hashes[order]
    again[order[1:][own[1:] == own[:-1]]] = True
    return again


def contradicting(hashes: U64, y: I64) -> int:
    """How many rows have equal features as a row of another class."""
    order = np.lexsort((y, hashes))
    own, label = hashes[order], y[order]
    starts = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
    lengths = np.diff(np.r_[starts, len(own)])
    # Within equal hashes classes are in order, so the first and the last tell.
    mixed = label[starts] != label[starts + lengths - 1]
    return int(lengths[mixed].sum())


def thin(y: I64, group: U64, keep: Bool, most: int) -> Bool:
    """At most this many rows per class, whole flows first, chosen by the hash of the flow."""
    order = np.lexsort((group, y, ~keep))[: int(keep.sum())]
    label = y[order]
    starts = np.flatnonzero(np.r_[True, label[1:] != label[:-1]]) if len(order) else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(order)])
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    kept = np.zeros(len(keep), dtype=bool)
    kept[order[rank < most]] = True
    return kept
