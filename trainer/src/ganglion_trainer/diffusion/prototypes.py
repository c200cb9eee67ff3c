"""Typical benign rows: how far a row, and its embedding, is from the nearest of them.

Logits only say which side of a border a row is on; far from all training rows they are as sure as near them.
Distances are not.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from ganglion_trainer.derived import F32

_ROUNDS = 30
# Added to squared distances before their logarithm: rounding must not tell rows apart that lie on a prototype.
LEAST_SQUARE = 0.05


@dataclass(frozen=True)
class Prototypes:
    """Centres in the standardised embedding."""

    mean: F32
    deviation: F32
    centres: F32

    def distance(self, embedding: F32) -> F32:
        """ln of the squared distance to the nearest centre, per row."""
        z = (embedding - self.mean) / self.deviation
        square = (z**2).sum(axis=1)[:, None] - 2 * z @ self.centres.T + (self.centres**2).sum(axis=1)
        return np.asarray(np.log(np.maximum(square.min(axis=1), 0) + LEAST_SQUARE), dtype=np.float32)


def learn(embedding: F32, count: int, least: float, seed: int) -> Prototypes:
    """k-means over benign training rows; deviations are not taken for smaller than `least`."""
    mean = embedding.mean(axis=0)
    deviation = np.maximum(embedding.std(axis=0), np.float32(least))
    z = ((embedding - mean) / deviation).astype(np.float32)
    distinct = len(np.unique(z, axis=0))
    means = KMeans(n_clusters=max(1, min(count, distinct // 2)), n_init=1, max_iter=_ROUNDS, random_state=seed)
    with threadpool_limits(1):
        centres = means.fit(z).cluster_centers_.astype(np.float32)
    return Prototypes(mean.astype(np.float32), deviation.astype(np.float32), centres)
