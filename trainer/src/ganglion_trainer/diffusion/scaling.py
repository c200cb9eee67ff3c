"""From raw columns to what the network sees, inside the graph: signed logarithms and ranks.

Flow columns span nine decades and pile up at single values. The logarithm keeps distances between decades, the
rank (a piecewise linear quantile transform) keeps apart what lies close together and is frequent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganglion_trainer.derived import F32
from ganglion_trainer.inputs import F64

# Standardised logarithms count up to this many deviations, so that no column outweighs all others.
LIMIT = 8.0
_LEAST_DEVIATION = 0.05
# Ranks lie in 0 … 1; times this, less its half, their deviation is one when they are uniform.
SPREAD = 12.0**0.5
# Knots closer than this (in ln units) are one.
_APART = 1e-4


@dataclass(frozen=True)
class Scales:
    """What scaling learned from training rows; no other rows may be among them."""

    mean: F32
    deviation: F32
    # Per column: where ramps begin, one over their widths, and how much of the rank each holds.
    knots: F32
    slopes: F32
    heights: F32

    @property
    def columns(self) -> int:
        """Raw columns."""
        return len(self.mean)

    @property
    def width(self) -> int:
        """Scaled columns."""
        return 2 * self.columns


def logarithm(x: F32) -> F64:
    """sign(x) · ln(1 + |x|)."""
    wide = x.astype(np.float64)
    return np.asarray(np.sign(wide) * np.log1p(np.abs(wide)))


def learn(x: F32, knots: int) -> Scales:
    """Statistics of training rows."""
    logs = logarithm(x)
    deviation = np.maximum(logs.std(axis=0), _LEAST_DEVIATION)
    begin, slope, height = (np.zeros((x.shape[1], knots), dtype=np.float32) for _ in range(3))
    slope[:] = 1.0
    for column in range(x.shape[1]):
        begin[column], slope[column], height[column] = _ramps(logs[:, column], knots)
    return Scales(logs.mean(axis=0).astype(np.float32), deviation.astype(np.float32), begin, slope, height)


def _ramps(values: F64, knots: int) -> tuple[F32, F32, F32]:
    """At most `knots` ramps through the quantiles of the distinct values' ranks."""
    distinct, counts = np.unique(values, return_counts=True)
    # A value's rank is the middle of its pile.
    rank = (np.cumsum(counts) - counts / 2) / len(values)
    # Half of the knots by rows, half by distinct values: piles and tails both get some.
    by_rows = np.interp(np.linspace(0, 1, knots // 2 + 1), rank, distinct)
    by_value = distinct[np.linspace(0, len(distinct) - 1, knots - knots // 2).astype(int)]
    at = np.unique(np.concatenate([by_rows, by_value, distinct[[0, -1]]]))
    at = at[np.concatenate([[True], np.diff(at) > _APART])][: knots + 1]
    found = np.interp(at, distinct, rank)
    begin, slope, height = np.full(knots, at[0]), np.ones(knots), np.zeros(knots)
    ramps = len(at) - 1
    begin[:ramps], slope[:ramps], height[:ramps] = at[:-1], 1 / np.diff(at), np.diff(found)
    return begin.astype(np.float32), slope.astype(np.float32), height.astype(np.float32)


class Scaling(nn.Module):
    """`Scales` as a layer without weights."""

    mean: Tensor
    weight: Tensor
    knots: Tensor
    slopes: Tensor
    heights: Tensor

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(scales.mean))
        self.register_buffer("weight", torch.from_numpy(1.0 / scales.deviation))
        for name in ("knots", "slopes", "heights"):
            self.register_buffer(name, torch.from_numpy(getattr(scales, name)))

    def forward(self, x: Tensor) -> Tensor:
        """Raw rows to standardised ones of twice the width."""
        logs = torch.sign(x) * torch.log(x.abs() + 1.0)
        return self.complete(torch.clamp((logs - self.mean) * self.weight, -LIMIT, LIMIT))

    def complete(self, standard: Tensor) -> Tensor:
        """Standardised logarithms, and the ranks that go with them."""
        logs = standard / self.weight + self.mean
        ramps = torch.clamp((logs[:, :, None] - self.knots) * self.slopes, 0.0, 1.0)
        rank = (ramps * self.heights).sum(dim=2)
        return torch.cat([standard, rank * SPREAD - SPREAD / 2], dim=1)
