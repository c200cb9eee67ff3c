"""Small rows that models can learn from in a second."""

import numpy as np

from ganglion_trainer.contract import Rows
from ganglion_trainer.dataset import Arrays, Dataset
from ganglion_trainer.derived import F32, I64

COLUMNS = ("Flow Duration", "Total Fwd Packet", "Total Bwd packets", "Flow Bytes/s", "SYN Flag Count", "Idle Mean")
CLASSES = (1, 3, 4, 7)


def table(count: int, seed: int = 1) -> tuple[F32, I64]:
    """Four classes, each around points of its own, over several decades."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % len(CLASSES)
    centre = np.array([[9, 3, 3, 5, 0, 2], [4, 5, 1, 9, 0, 0], [1, 0.5, 0.5, 2, 1, 0], [7, 2, 4, 4, 0, 5]])
    x = np.expm1(centre[y] + rng.normal(0, 0.25, (count, len(COLUMNS)))).astype(np.float32)
    x[:, 4] = (y == 2) + (rng.random(count) < 0.02)
    # Some columns of tables go below 0 and are 0 in most rows.
    x[:, 5] = np.where(rng.random(count) < 0.5, 0, x[:, 5] - 1)
    return x, y.astype(np.int64)


def rows(count: int = 400, seed: int = 1) -> Rows:
    """As models take them."""
    x, y = table(count, seed)
    return Rows(x, y, len(CLASSES), 0, COLUMNS)


def dataset(count: int = 240, seed: int = 1) -> Dataset:
    """As `prepare` makes it of a table; two rows of each 5-tuple."""
    x, y = table(count, seed)
    zero = np.zeros(count, dtype=np.int32)
    group = np.repeat(np.arange(count // 8 + 1), 8)[:count].astype(np.uint64) * 4 + y.astype(np.uint64)
    arrays = Arrays(
        x=x,
        y=np.array(CLASSES, dtype=np.uint8)[y],
        kind=np.ones(count, dtype=np.uint8),
        stage=np.zeros(count, dtype=np.uint8),
        role=np.zeros(count, dtype=np.uint8),
        run=zero,
        episode=zero - 1,
        origin=zero,
        group=group,
        host=zero,
        time_us=np.arange(1, count + 1, dtype=np.int64),
        label=zero,
    )
    return Dataset(
        arrays=arrays,
        features=list(COLUMNS),
        table_digest="d",
        origins=["table"],
        runs=[{"name": "table", "split": "train"}],
        episodes=[],
        report={},
        settings={},
        labels=["all"],
        profile="cicflowmeter",
        digest=f"test {count} {seed}",
    )
