"""What belongs together never stands on both sides."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ganglion_trainer import dataset, splits
from ganglion_trainer.classes import BENIGN
from ganglion_trainer.dataset import Arrays
from ganglion_trainer.errors import TrainerError


def made(rows: int = 2000, seed: int = 0, snapshots: bool = False) -> Arrays:
    """Rows of four classes with groups, hosts, captures and times."""
    rng = np.random.default_rng(seed)
    flow = np.sort(rng.integers(0, rows // 2, rows))
    y = np.array([BENIGN, 2, 3, 5], dtype=np.uint8)[rng.choice(4, rows // 2, p=[0.6, 0.3, 0.08, 0.02])][flow]
    return Arrays(
        x=rng.normal(size=(rows, 3)).astype(np.float32),
        y=y,
        kind=np.ones(rows, dtype=np.uint8),
        stage=rng.integers(0, 4, rows).astype(np.uint8) if snapshots else np.zeros(rows, dtype=np.uint8),
        role=np.full(rows, 255, dtype=np.uint8),
        run=(flow % 7).astype(np.int32),
        episode=np.full(rows, -1, dtype=np.int32),
        origin=y.astype(np.int32),
        group=(flow.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15),
        host=(flow % 40).astype(np.int32),
        time_us=rng.permutation(rows).astype(np.int64) + 1,
        label=y.astype(np.int32),
    )


def together(values: np.ndarray, fold: np.ndarray) -> bool:
    """Whether each value is in one fold alone."""
    return all(len(np.unique(fold[values == value])) == 1 for value in np.unique(values))


@pytest.mark.parametrize("how", splits.HOWS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_split_is_complete_and_follows_from_the_seed(how: splits.How, seed: int) -> None:
    arrays = made(seed=seed)
    fold = splits.folds(arrays, how, 5, seed)
    assert fold.shape == arrays.y.shape
    assert sorted(np.unique(fold)) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(fold, splits.folds(arrays, how, 5, seed))
    assert splits.digest(arrays.group, fold) == splits.digest(arrays.group, fold.copy())
    held = np.concatenate([held for _, held in splits.pairs(fold)])
    assert sorted(held) == list(range(len(arrays.y)))
    for learn, own in splits.pairs(fold):
        assert not set(learn) & set(own)
    if how in ("stratified", "grouped"):
        other = splits.folds(arrays, how, 5, seed + 100)
        assert (other != fold).any()
        assert splits.digest(arrays.group, fold) != splits.digest(arrays.group, other)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("grouped", lambda arrays: arrays.group),
        ("capture", lambda arrays: arrays.run),
        ("host", lambda arrays: arrays.host),
        ("host", lambda arrays: arrays.group),
        ("time", lambda arrays: arrays.group),
    ],
)
def test_nothing_that_belongs_together_is_on_both_sides(how: splits.How, what: Callable[[Arrays], np.ndarray]) -> None:
    for seed in range(5):
        arrays = made(seed=seed)
        # A few flows are opened from both ends.
        arrays.host[[10, 500, 900]] += 1
        fold = splits.folds(arrays, how, 5, seed)
        assert together(what(arrays), fold)


def test_stratified_folds_are_even_in_every_class() -> None:
    arrays = made()
    fold = splits.folds(arrays, "stratified")
    assert not together(arrays.group, fold)
    for label in np.unique(arrays.y):
        counts = np.bincount(fold[arrays.y == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    total = np.bincount(fold)
    assert total.max() - total.min() <= len(np.unique(arrays.y))


def test_grouped_folds_are_nearly_even_in_every_class() -> None:
    arrays = made(6000)
    largest = max(np.unique(arrays.group, return_counts=True)[1])
    fold = splits.folds(arrays, "grouped")
    for label in np.unique(arrays.y):
        counts = np.bincount(fold[arrays.y == label], minlength=5)
        assert counts.max() - counts.min() <= largest


@pytest.mark.parametrize("how", splits.HOWS)
def test_snapshots_of_one_flow_stay_in_one_fold(how: splits.How) -> None:
    arrays = made(snapshots=True)
    flow = arrays.group
    snapshots = np.isin(flow, flow[np.isin(arrays.stage, [1, 2, 3])])
    fold = splits.folds(arrays, how)
    if how != "capture":
        assert together(flow[snapshots], fold[snapshots])
    assert together(flow[snapshots] ^ arrays.run[snapshots].astype(np.uint64), fold[snapshots])


def test_snapshots_of_recordings(data_folder: Path) -> None:
    arrays = dataset.read(data_folder).arrays
    assert (arrays.stage == 1).any()
    for how in ("stratified", "grouped", "host"):
        assert together(arrays.group, splits.folds(arrays, how, 3)) or how == "stratified"
        flows = np.unique(arrays.group[arrays.stage == 1])
        mine = np.isin(arrays.group, flows)
        assert together(arrays.group[mine], splits.folds(arrays, how, 3)[mine])


def test_blocks_of_time_follow_each_other_in_every_class() -> None:
    arrays = made()
    arrays.group[:] = np.arange(len(arrays.group))  # Each row a flow of its own.
    fold = splits.folds(arrays, "time", 4)
    for label in np.unique(arrays.y):
        mine = np.flatnonzero(arrays.y == label)
        order = mine[np.argsort(arrays.time_us[mine])]
        assert (np.diff(fold[order]) >= 0).all()
        counts = np.bincount(fold[mine], minlength=4)
        assert counts.max() - counts.min() <= 1
    arrays.time_us[3] = 0
    with pytest.raises(TrainerError, match="1 rows have no time"):
        splits.folds(arrays, "time")


def test_a_class_left_out_leaves_no_flow_behind() -> None:
    arrays = made()
    # A benign row of a 5-tuple that also carries the class.
    arrays.y[np.flatnonzero(arrays.y == 3)[0]] = BENIGN
    fold = splits.folds(arrays, "grouped")
    for label in (2, 3, 5):
        learn, unknown, benign = splits.without_class(arrays, fold, label)
        assert not (arrays.y[learn] == label).any()
        assert (arrays.y[unknown] == label).all()
        assert (arrays.y[benign] == BENIGN).all()
        assert unknown.sum() == (arrays.y == label).sum()
        assert not set(arrays.group[learn]) & (set(arrays.group[unknown]) | set(arrays.group[benign]))
        assert benign.any()
        assert learn.any()
    for label in (BENIGN, 8):
        with pytest.raises(TrainerError, match="can't be left out"):
            splits.without_class(arrays, fold, label)


def test_gaps_are_named() -> None:
    arrays = made()
    arrays.run[:] = np.where(arrays.y == 2, 0, 1 + arrays.run % 3)
    fold = splits.folds(arrays, "capture")
    assert set(np.unique(fold)) == {0, 1, 2, 3}
    assert list(splits.gaps(arrays, fold)) == ["DDoS"]
    about = splits.about(arrays, "capture", fold)
    assert about["folds"] == 4
    assert sum(about["rows"]["DDoS"]) == (arrays.y == 2).sum()


def test_what_can_not_be_split() -> None:
    arrays = made()
    arrays.run[:] = 0
    for how, count, word in (
        ("capture", 5, "all rows are of one capture"),
        ("grouped", 1, "1 folds"),
        ("grouped", 128, "128 folds"),
    ):
        with pytest.raises(TrainerError, match=word):
            splits.folds(arrays, how, count)
    with pytest.raises(TrainerError, match="1 rows do not make 5 folds"):
        splits.folds(arrays.take(np.arange(2000) == 7), "stratified")
    with pytest.raises(TrainerError, match="0 rows do not make"):
        splits.folds(arrays.take(np.zeros(2000, dtype=bool)), "grouped")
