"""Which rows are learned from and which judged on.

Every split gives each row the number of the fold it is held out in. What belongs together stays in one fold: of
snapshots of a flow all, and by the kind of split all rows of a 5-tuple, a capture or an opening host. Folds depend on
the rows and the seed alone.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ganglion_trainer.classes import BENIGN, name
from ganglion_trainer.dataset import Arrays
from ganglion_trainer.derived import STAGES, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.hashing import U64, mix

How = Literal["stratified", "grouped", "capture", "host", "time"]
HOWS: tuple[How, ...] = ("stratified", "grouped", "capture", "host", "time")
I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]
_SNAPSHOTS = [number for number, stage in enumerate(STAGES) if stage not in ("end", "source")]
_MOST = 127


def folds(arrays: Arrays, how: How, count: int = 5, seed: int = 1) -> I8:
    """The fold of every row. By capture or host there may be fewer folds than asked for."""
    if not 2 <= count <= _MOST:
        raise TrainerError(f"{count} folds: 2 to {_MOST} are possible")
    if len(arrays.y) < count:
        raise TrainerError(f"{len(arrays.y)} rows do not make {count} folds")
    unit = _numbered(_units(arrays, how))
    made = int(unit.max()) + 1
    if made < 2:
        raise TrainerError(
            f"split by {how}: all rows are of one {_NOUN[how]}, two at least are due{_HINT.get(how, '')}"
        )
    count = min(count, made)
    if how == "time":
        return _in_order(arrays, unit, count)
    return _dealt(arrays.y.astype(np.int64), unit, count, seed)


_NOUN = {"stratified": "flow", "grouped": "5-tuple", "capture": "capture", "host": "host", "time": "5-tuple"}
_HINT = {
    "capture": ": give several tables, or prepare with --capture-by day",
    "host": ": the table may hold no addresses",
}


def pairs(fold: I8) -> Iterator[tuple[I64, I64]]:
    """Per fold: rows to learn from, rows held out."""
    for number in range(int(fold.max()) + 1):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def without_class(arrays: Arrays, fold: I8, label: int, held: int = 0) -> tuple[Bool, Bool, Bool]:
    """Rows to learn from without a class, the rows of that class, and benign rows to tell them from.

    Neither a 5-tuple of the class left out nor the fold of the benign rows is learned from.
    """
    unknown = arrays.y == label
    if label == BENIGN or not unknown.any():
        raise TrainerError(f"class {name(label)} can't be left out: it is Benign or has no rows")
    beside = np.isin(arrays.group, np.unique(arrays.group[unknown]))
    learn = ~unknown & ~beside & (fold != held)
    benign = (arrays.y == BENIGN) & (fold == held)
    return np.asarray(learn), np.asarray(unknown), np.asarray(benign)


def gaps(arrays: Arrays, fold: I8) -> dict[str, list[int]]:
    """Classes that a fold holds out and no other fold teaches: there, nothing could be right."""
    found: dict[str, list[int]] = {}
    for label in np.unique(arrays.y):
        inside = np.unique(fold[arrays.y == label])
        if len(inside) == 1:
            found[name(int(label))] = [int(inside[0])]
    return found


def about(arrays: Arrays, how: How, fold: I8) -> dict[str, Any]:
    """For reports: rows per class and fold, and classes that are in one fold alone."""
    count = int(fold.max()) + 1
    rows = {
        name(int(label)): np.bincount(fold[arrays.y == label], minlength=count).tolist()
        for label in np.unique(arrays.y)
    }
    return {"split": how, "folds": count, "rows": rows, "in_one_fold": gaps(arrays, fold)}


def _units(arrays: Arrays, how: How) -> npt.NDArray[Any]:
    """What must stay together, as any numbers."""
    if how == "capture":
        return arrays.run
    if how == "host":
        return _joined(arrays.host, arrays)
    if how in ("grouped", "time"):
        return arrays.group
    flows = np.unique(arrays.group[np.isin(arrays.stage, _SNAPSHOTS)])
    together = np.isin(arrays.group, flows)
    # Any other row is alone. Groups are hashes: a row's number does not meet one.
    return np.where(together, arrays.group, mix(np.arange(len(arrays.y), dtype=np.uint64)))


def _joined(host: npt.NDArray[np.int32], arrays: Arrays) -> I64:
    """Hosts, those together that opened flows of one 5-tuple, so that no flow is on both sides."""
    parent = np.arange(int(host.max()) + 1)

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = int(parent[of])
        return of

    order = np.lexsort((host, arrays.group))
    group, own = arrays.group[order], host[order]
    meet = np.flatnonzero((group[1:] == group[:-1]) & (own[1:] != own[:-1]))
    for one, other in np.unique(np.stack([own[meet], own[meet + 1]], axis=1), axis=0):
        parent[root(int(one))] = root(int(other))
    roots = np.array([root(number) for number in range(len(parent))])
    return np.asarray(roots[host], dtype=np.int64)


def _numbered(values: npt.NDArray[Any]) -> I64:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _owners(y: I64, unit: I64) -> tuple[I64, I64]:
    """Per unit: the rarest class among its rows, and how many rows of it."""
    labels, place = np.unique(y, return_inverse=True)
    rare = np.argsort(np.argsort(np.bincount(place), kind="stable"))[place]
    count, kinds = int(unit.max()) + 1, len(labels)
    owner = np.full(count, kinds, dtype=np.int64)
    np.minimum.at(owner, unit, rare)
    rows = np.bincount(unit[rare == owner[unit]], minlength=count)
    return owner, rows


def _dealt(y: I64, unit: I64, count: int, seed: int) -> I8:
    """Deals units out, class by class from the rarest, so that each fold gets alike many rows of each."""
    owner, rows = _owners(y, unit)
    shuffled = mix(np.arange(len(owner), dtype=np.uint64) ^ mix(np.array([seed], dtype=np.uint64)))
    fold = np.zeros(len(owner), dtype=np.int8)
    total = np.zeros(count, dtype=np.int64)
    for kind in np.unique(owner):
        mine = np.flatnonzero(owner == kind)
        mine = mine[np.lexsort((shuffled[mine], -rows[mine]))]
        own = np.zeros(count, dtype=np.int64)
        large = mine[rows[mine] > 1]
        for number in large:
            target = int(np.lexsort((total, own))[0])
            fold[number] = target
            own[target] += rows[number]
            total[target] += rows[number]
        single = mine[rows[mine] == 1]
        share = _level(own, total, len(single))
        # The larger units came in order of size; single rows are in random order already.
        fold[single] = np.repeat(np.arange(count), share).astype(np.int8)
        total += share
    return np.asarray(fold[unit], dtype=np.int8)


def _level(own: I64, total: I64, more: int) -> I64:
    """How many single rows each fold gets, so that the folds become as even as can be."""
    low, high = int(own.min()), int(own.max()) + more + 1
    while low < high:
        middle = (low + high + 1) // 2
        if int(np.maximum(middle - own, 0).sum()) <= more:
            low = middle
        else:
            high = middle - 1
    share = np.maximum(low - own, 0)
    left = more - int(share.sum())
    order = np.lexsort((total, own + share))
    share[order[:left]] += 1
    return share


def _in_order(arrays: Arrays, unit: I64, count: int) -> I8:
    """Blocks of time, class by class: each fold holds out one stretch of every class."""
    unknown = int((arrays.time_us == 0).sum())
    if unknown:
        raise TrainerError(f"split by time: {unknown} rows have no time")
    owner, rows = _owners(arrays.y.astype(np.int64), unit)
    first = np.full(len(owner), np.iinfo(np.int64).max)
    np.minimum.at(first, unit, arrays.time_us)
    fold = np.zeros(len(owner), dtype=np.int8)
    for kind in np.unique(owner):
        mine = np.flatnonzero(owner == kind)
        mine = mine[np.lexsort((mine, first[mine]))]
        middle = np.cumsum(rows[mine]) - rows[mine] / 2
        fold[mine] = np.minimum(middle * count // rows[mine].sum(), count - 1).astype(np.int8)
    return np.asarray(fold[unit], dtype=np.int8)


def digest(group: U64, fold: I8) -> str:
    """A short name of a split, to tell whether two are the same."""
    both = mix(group ^ mix(fold.astype(np.uint64)))
    return f"{int(np.bitwise_xor.reduce(mix(both ^ np.arange(len(both), dtype=np.uint64)))):016x}"
