"""The cosine noise schedule, and deterministic (DDIM) steps along it."""

import numpy as np
import torch
from torch import Tensor

from ganglion_trainer.derived import F32

# Keeps the first steps from being so small that the noise can't be told (Nichol & Dhariwal 2021).
_OFFSET = 0.008
# The last step is left with this much signal at least.
_LEAST = 1e-5


def kept(steps: int) -> F32:
    """Share of the signal's variance that is left after t steps, t = 0 … `steps`; 1 at 0."""
    t = np.arange(steps + 1, dtype=np.float64) / steps
    shape = np.cos((t + _OFFSET) / (1 + _OFFSET) * np.pi / 2) ** 2
    share: F32 = np.clip(shape / shape[0], _LEAST, 1.0).astype(np.float32)
    return share


def noised(rows: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Rows after the forward process; `share` per row, as `kept` has it."""
    share = share[:, None]
    return share.sqrt() * rows + (1 - share).sqrt() * noise


def ladder(start: int, steps: int) -> list[int]:
    """The times of `steps` DDIM steps from `start` down; 0, where they end, is not among them."""
    return [max(1, round(start * (steps - i) / steps)) for i in range(steps)]


def ddim_step(rows: Tensor, noise: Tensor, share: float, share_next: float) -> Tensor:
    """From one time to an earlier one, along the predicted noise."""
    clean = (rows - (1 - share) ** 0.5 * noise) / share**0.5
    earlier: Tensor = share_next**0.5 * clean + (1 - share_next) ** 0.5 * noise
    return earlier


def share_at(shares: Tensor, times: Tensor) -> Tensor:
    """`kept` at these times."""
    return torch.index_select(shares, 0, times)
