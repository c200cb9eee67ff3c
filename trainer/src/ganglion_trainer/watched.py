"""How training goes on rows that it does not learn from: they shape no model, only a curve."""

from dataclasses import dataclass

import numpy as np

from ganglion_trainer import metrics
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.inputs import F64

# Of each class, so that a look costs little.
_ROWS = 300
# Updates between two looks.
EVERY = 50


@dataclass(frozen=True)
class Watched:
    """Held-out rows."""

    x: F32
    # Number into the classes that the model knows.
    y: I64

    def loss(self, probabilities: F32 | F64) -> float:
        """Cross-entropy, classes as they come among these rows."""
        return metrics.log_loss(self.y, np.asarray(probabilities, dtype=np.float64), np.ones(len(self.y)))

    def auc(self, probabilities: F32 | F64) -> float:
        """Mean over classes of the area under ROC, one against the rest; 1 where there is one class alone."""
        found = []
        for label in np.unique(self.y):
            mine, score = self.y == label, np.asarray(probabilities[:, label], dtype=np.float32)
            if not mine.all():
                found.append(metrics.auroc(score[~mine], score[mine]))
        return float(np.mean(found)) if found else 1.0


def some(x: F32, y: I64, learned: I64, seed: int) -> Watched | None:
    """Some held-out rows of classes that are among those `learned`: of others nothing can be right."""
    random = np.random.default_rng([seed, 31])
    labels = np.intersect1d(y, learned)
    parts = [random.permutation(np.flatnonzero(y == label))[:_ROWS] for label in labels]
    if not parts:
        return None
    at = np.sort(np.concatenate(parts))
    return Watched(np.ascontiguousarray(x[at]), y[at])
