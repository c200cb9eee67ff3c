"""What the network is shown: classes drawn more evenly than they come, rows between rows, rows that are none."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ganglion_trainer.derived import F32, I64
from ganglion_trainer.diffusion.scaling import LIMIT, Scaling
from ganglion_trainer.diffusion.settings import Settings

# Classes with more rows than this need no rows between them.
_PLENTY = 2000


class Sampler:
    """Draws batches of training rows; it never sees any others."""

    def __init__(
        self, rows: Tensor, y: I64, classes: int, benign: int, scaling: Scaling, settings: Settings, seed: int
    ) -> None:
        self.rows, self.settings, self.scaling = rows, settings, scaling
        # What is made up, is made up of logarithms: their ranks must fit.
        self.logs = rows[:, : rows.shape[1] // 2].contiguous()
        self.y = torch.from_numpy(y)
        self.random = torch.Generator().manual_seed(seed)
        counts = np.bincount(y, minlength=classes)
        share = np.where(counts > 0, counts, 0.0) ** settings.evenness * (counts > 0)
        # Per row, so that one draw gives class and row.
        self.chance = torch.from_numpy(np.cumsum((share / np.maximum(counts, 1))[y]))
        self.neighbours = torch.from_numpy(_neighbours(self.logs.numpy(), y, settings.neighbours))
        self.benign = torch.from_numpy(np.flatnonzero(y == benign))

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Rows and classes."""
        at = torch.rand(count, generator=self.random, dtype=torch.float64) * self.chance[-1]
        row = torch.searchsorted(self.chance, at).clamp_max(len(self.y) - 1)
        return self._between(row), self.y[row]

    def _between(self, row: Tensor) -> Tensor:
        """SMOTE: somewhere on the way to a neighbour of the same class."""
        if self.settings.smote == 0:
            return self.rows[row]
        own = self.logs[row]
        which = self._integers(self.neighbours.shape[1], len(row))
        way = self._lot(len(row)) * self.settings.smote
        return self.scaling.complete(own + way * (self.logs[self.neighbours[row, which]] - own))

    def flows(self, count: int) -> Tensor:
        """Rows to learn rebuilding from: benign ones, and of the others the share that the settings say."""
        any_row = torch.rand(count, generator=self.random) < self.settings.attack_noise
        benign = self.benign[self._integers(len(self.benign), count)]
        return self.rows[torch.where(any_row, self._integers(len(self.rows), count), benign)]

    def anomalies(self, count: int) -> Tensor:
        """Benign rows made impossible by controlled noise, of three kinds.

        Columns of other rows in their place; moved along the difference of two rows, the way rows do differ, so that
        what holds between columns of every flow still holds; half way to another row, where mostly no flow is.
        """
        own = self.logs[self.benign[self._integers(len(self.benign), count)]]
        one, other = (self.logs[self._integers(len(self.rows), count)] for _ in range(2))
        hit = torch.rand(own.shape, generator=self.random) < (self._lot(count) ** 2).clamp_min(0.02)
        columns = torch.arange(own.shape[1]).repeat(count)
        strange = self.logs[self._integers(len(self.rows), own.numel()), columns].view_as(own)
        swapped = torch.where(hit, strange, own)
        moved = own + self._lot(count) * self.settings.anomaly_noise * (one - other)
        between = own + (0.15 + 0.7 * self._lot(count)) * (one - own)
        kind = self._lot(count)
        made = torch.where(
            kind < self.settings.swapped, swapped, torch.where(kind < 0.5 + self.settings.swapped / 2, moved, between)
        )
        return self.scaling.complete(made.clamp(-LIMIT, LIMIT))

    def _lot(self, count: int) -> Tensor:
        return torch.rand(count, 1, generator=self.random)

    def _integers(self, below: int, count: int) -> Tensor:
        return torch.randint(0, below, (count,), generator=self.random)

    def state(self) -> Tensor:
        """Where the draws stand, to go on from there."""
        return self.random.get_state()

    def restore(self, state: Tensor) -> None:
        """Goes on from there."""
        self.random.set_state(state)


def _neighbours(rows: F32, y: I64, count: int) -> I64:
    """Numbers of the nearest rows of the same class; of a frequent class the row itself."""
    found = np.repeat(np.arange(len(y))[:, None], count, axis=1)
    for label in np.unique(y):
        mine = np.flatnonzero(y == label)
        if not 1 < len(mine) <= _PLENTY:
            continue
        near = min(count + 1, len(mine))
        _, at = NearestNeighbors(n_neighbors=near).fit(rows[mine]).kneighbors(rows[mine])
        # The first is the row itself, or an equal one.
        found[mine] = mine[at[:, 1:]][:, np.arange(count) % (near - 1)]
    return found
