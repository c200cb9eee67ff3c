"""Boosted trees: the last bit of a logarithm must not decide."""

import numpy as np

from ganglion_trainer.boosted import Boosted
from ganglion_trainer.derived import F32


def _rows() -> tuple[F32, np.ndarray]:
    random = np.random.default_rng(1)
    x = np.log1p(random.integers(0, 9, (600, 5))).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 2).astype(np.int64) + (x[:, 2] > 1.5)


def test_thresholds_lie_between_the_values_they_part() -> None:
    x, y = _rows()
    model = Boosted(1)
    model.model.fit(x, y, sample_weight=np.ones(len(x)))
    before = model.model.predict_proba(x)
    assert np.abs(model.model.predict_proba(x * np.float32(1 - 1e-6)) - before).max() > 0.1
    model.fit(x, y, np.ones(len(x)))
    found = model.predict_proba(x)
    assert np.abs(found - before).max() == 0
    for factor in (1 - 1e-5, 1 + 1e-5):
        assert np.abs(model.predict_proba(x * np.float32(factor)) - found).max() == 0


def test_classes_may_have_gaps() -> None:
    x, y = _rows()
    model = Boosted(1)
    model.fit(x, y * 3, np.ones(len(x)))
    assert model.classes_.tolist() == [0, 3, 6]
    assert (model.classes_[model.predict_proba(x).argmax(axis=1)] == y * 3).mean() > 0.99
