"""Every model learns, scores and becomes a graph that says the same."""

from dataclasses import replace

import modelled
import numpy as np
import pytest

from ganglion_trainer import config
from ganglion_trainer.compare import registry
from ganglion_trainer.config import Config
from ganglion_trainer.contract import Fitted, Rows, curve
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.graph import Session
from ganglion_trainer.rivals.vote import Vote
from ganglion_trainer.watched import some

TABULAR = [name for name in registry.NAMES if name not in (*registry.SEQUENCE, registry.VOTE)]


def _config(updates: int = 150) -> Config:
    own = config.load()
    small = {"updates": updates, "batch": 64, "noise_batch": 64, "anomaly_batch": 32, "widths": [32, 16], "groups": 2}
    return replace(own, compare=own.compare | {"updates": updates}, diffusion=small)


def _fit(name: str, rows: Rows, seed: int = 1, effort: float = 1.0) -> Fitted:
    maker = registry.maker(name, _config())
    return maker.fit(rows, maker.draw(np.random.default_rng(seed)), seed, effort)


def _same(fitted: Fitted, x: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> None:
    """The graph gives what the library gives, for many rows and for one."""
    session = Session(fitted.onnx().SerializeToString(), "model")
    proba, anomaly = fitted.score(x)
    for part in (x, x[:1]):
        found, strange = session.score(part)
        assert np.abs(found - proba[: len(part)]).max() < 2e-4
        assert np.abs(strange - anomaly[: len(part)]).max() < 2e-3 * max(1.0, float(np.abs(anomaly).max()))


@pytest.mark.parametrize("name", TABULAR)
def test_the_graph_says_what_the_model_says(name: str) -> None:
    fitted = _fit(name, modelled.rows())
    x, y = modelled.table(200, seed=2)
    _same(fitted, x)
    proba, anomaly = fitted.score(x)
    assert proba.shape == (200, 4)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-4
    assert fitted.parameters() > 0
    if name in registry.ANOMALY:
        assert anomaly[y != 0].mean() > anomaly[y == 0].mean()
    else:
        assert (proba.argmax(axis=1) == y).mean() > 0.9


def test_a_network_is_watched_while_it_learns() -> None:
    x, y = modelled.table(80, seed=4)
    plain, seen = (_fit("mlp", replace(modelled.rows(), watched=watched)) for watched in (None, some(x, y, y, 1)))
    assert np.array_equal(plain.score(x)[0], seen.score(x)[0])
    noted = curve(seen)
    assert noted is not None
    assert set(noted) == {"update", "cross_entropy", "held_cross_entropy", "held_auc"}
    assert {len(values) for values in noted.values()} == {4}
    assert noted["held_auc"][-1] > noted["held_auc"][0]
    assert curve(_fit("extra-trees", modelled.rows())) is None


@pytest.mark.parametrize("name", ["extra-trees", "xgboost", "mlp"])
def test_a_class_without_rows_gets_no_probability_but_keeps_its_column(name: str) -> None:
    rows = modelled.rows()
    fitted = _fit(name, rows.take(np.flatnonzero(rows.y != 2)))
    x, _ = modelled.table(50, seed=3)
    assert fitted.score(x)[0].shape == (50, 4)
    _same(fitted, x)


def test_two_classes_are_boosted_too() -> None:
    x, y = modelled.table(200)
    mine = np.flatnonzero(y < 2)
    fitted = _fit("xgboost", Rows(np.ascontiguousarray(x[mine]), y[mine], 2, 0, modelled.COLUMNS))
    _same(fitted, np.ascontiguousarray(x[mine]))
    assert (fitted.score(x[mine])[0].argmax(axis=1) == y[mine]).all()


@pytest.mark.parametrize("name", registry.SEQUENCE)
def test_sequences_of_first_packets(name: str) -> None:
    rng = np.random.default_rng(1)
    # The gap before the first packet is always 0, and left out as constant.
    columns = ("other", *(f"first_size_{n}" for n in range(1, 9)), *(f"first_gap_{n}" for n in range(2, 9)))
    y = (np.arange(300) % 2).astype(np.int64)
    x = rng.normal(0, 1, (300, 16)).astype(np.float32)
    # Only the order of sizes tells the classes apart.
    x[:, 1:9] = np.where(y[:, None] == 1, np.arange(8), np.arange(8)[::-1]) + rng.normal(0, 0.3, (300, 8))
    rows = Rows(x, y, 2, 0, columns)
    fitted = _fit(name, rows)
    assert (fitted.score(x)[0].argmax(axis=1) == y).mean() > 0.95
    _same(fitted, x)
    with pytest.raises(TrainerError, match="first_size_2"):
        _fit(name, modelled.rows())


def test_a_vote_is_the_mean() -> None:
    rows = modelled.rows()
    members = [_fit(name, rows) for name in ("extra-trees", "mlp")]
    vote = Vote(members, len(modelled.COLUMNS), 4, 0)
    x, _ = modelled.table(60, seed=2)
    mean = np.mean([member.score(x)[0] for member in members], axis=0)
    assert np.abs(vote.score(x)[0] - mean).max() < 1e-6
    _same(vote, x)


@pytest.mark.parametrize("name", ["diffusion", "extra-trees", "xgboost", "mlp", "autoencoder"])
def test_the_same_seed_gives_the_same_model(name: str) -> None:
    x, _ = modelled.table(40, seed=2)
    one, other = (_fit(name, modelled.rows(), effort=0.2).score(x) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_unknown_models_are_named() -> None:
    with pytest.raises(TrainerError, match="unknown model 'tree'; known are diffusion"):
        registry.maker("tree", config.load())
