"""Temperatures: probabilities that mean what they say."""

import numpy as np
from scipy.optimize import minimize_scalar

from ganglion_trainer import metrics
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.inputs import F64

# Probabilities are not taken for smaller than this.
FLOOR = 1e-6
_RANGE = (0.2, 5.0)


def calibrated(probabilities: F32 | F64, warmth: float) -> F64:
    """softmax(ln p / temperature)."""
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), FLOOR)) / warmth
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def loss(truth: I64, probabilities: F32 | F64, weight: F64, warmth: float) -> float:
    """Weighted log loss at a temperature."""
    return metrics.log_loss(truth, calibrated(probabilities, warmth), weight)


def temperature(truth: I64, probabilities: F32 | F64, weight: F64) -> float:
    """The temperature of the least log loss on rows that were not learned from."""
    found = minimize_scalar(
        lambda ln: loss(truth, probabilities, weight, float(np.exp(ln))),
        bounds=tuple(np.log(_RANGE)),
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(found.x))
