"""The diffusion model: its schedule, its steps, its training, its checkpoints."""

from pathlib import Path

import modelled
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganglion_trainer.diffusion import fit, scaling, schedule, settings
from ganglion_trainer.diffusion.detector import Detector, Rule
from ganglion_trainer.diffusion.export import to_onnx
from ganglion_trainer.diffusion.fit import Trained
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.graph import Session
from ganglion_trainer.watched import Watched, some

SMALL = settings.of(
    {
        "updates": 120,
        "batch": 64,
        "noise_batch": 64,
        "anomaly_batch": 32,
        "widths": [32, 24, 16],
        "groups": 2,
        "heads": 2,
    }
)


def _trained(keep: Path | None = None, updates: int | None = None, seed: int = 1) -> Trained:
    rows = modelled.rows()
    own = SMALL if updates is None else settings.of({"updates": updates}, SMALL)
    return fit.fit(rows.x, rows.y, rows.classes, rows.benign, own, seed, keep)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return _trained()


def test_the_schedule_keeps_everything_at_first_and_nearly_nothing_at_last() -> None:
    kept = schedule.kept(1000)
    assert kept.shape == (1001,)
    assert kept[0] == 1
    assert kept[-1] <= 1e-4
    assert (np.diff(kept) <= 0).all()
    assert kept[500] == pytest.approx(0.49, abs=0.02)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_ddim_with_the_true_noise_comes_back(steps: int) -> None:
    kept = schedule.kept(1000)
    clean, noise = torch.randn(5, 7), torch.randn(5, 7)
    times = schedule.ladder(200, steps)
    assert len(times) == steps
    assert times[0] == 200
    rows = schedule.noised(clean, noise, torch.full((5,), float(kept[200])))
    for at, then in zip(times, [*times[1:], 0], strict=True):
        rows = schedule.ddim_step(rows, noise, float(kept[at]), float(kept[then]))
    assert torch.allclose(rows, clean, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_the_unrolled_graph_is_the_loop(trained: Trained, steps: int) -> None:
    rows = modelled.rows()
    rule = Rule(steps=steps, start=80, rebuilding=0.5, odds=0.3, prototypes=8, temperature=1.3)
    detector = Detector(trained, rule).settle(rows.x[rows.y == 0])
    x, _ = modelled.table(90, seed=5)
    session = Session(to_onnx(detector).SerializeToString(), "model")
    proba, anomaly, embedding = session.run(x, ["probabilities", "anomaly", "embedding"])
    due, strange = detector.score(x)
    assert np.abs(proba - due).max() < 1e-4
    assert np.abs(anomaly - strange).max() < 1e-3 * max(1.0, float(np.abs(strange).max()))
    assert np.abs(embedding - detector.look(x).embedding.numpy()).max() < 1e-3


def test_nothing_random_is_left_in_the_graph(trained: Trained) -> None:
    rows = modelled.rows()
    graph = to_onnx(Detector(trained, Rule(prototypes=8)).settle(rows.x[rows.y == 0])).graph
    assert not {node.op_type for node in graph.node} & {"RandomNormal", "RandomNormalLike", "Dropout", "Loop", "If"}
    assert [value.name for value in graph.input] == ["features"]


def test_what_was_never_seen_is_unusual(trained: Trained) -> None:
    rows = modelled.rows()
    detector = Detector(trained, Rule(prototypes=16)).settle(rows.x[rows.y == 0])
    x, y = modelled.table(200, seed=7)
    strange = np.abs(np.random.default_rng(1).normal(0, 1e6, (50, x.shape[1]))).astype(np.float32)
    usual = detector.score(x[y == 0])[1]
    assert np.median(detector.score(strange)[1]) > np.quantile(usual, 0.99)


def test_odd_numbers_give_finite_scores(trained: Trained) -> None:
    rows = modelled.rows()
    detector = Detector(trained, Rule(prototypes=8)).settle(rows.x[rows.y == 0])
    session = Session(to_onnx(detector).SerializeToString(), "model")
    odd = np.array([[0] * 6, [-1e30] * 6, [3e38] * 6, [1e-30] * 6], dtype=np.float32)
    proba, anomaly = session.score(odd)
    assert np.isfinite(proba).all()
    assert np.isfinite(anomaly).all()


def test_scaling_learns_from_training_rows_alone_and_keeps_order() -> None:
    x, _ = modelled.table(300)
    scales = scaling.learn(x, 16)
    layer = scaling.Scaling(scales)
    z = layer(torch.from_numpy(x)).numpy()
    assert z.shape == (300, 12)
    assert np.abs(z[:, :6].mean(axis=0)).max() < 0.05
    for column in range(6):
        order = np.argsort(x[:, column], kind="stable")
        assert (np.diff(z[order, 6 + column]) >= -1e-5).all()
    # Rows that were not learned from change nothing: statistics depend on `x` alone.
    again = scaling.learn(x.copy(), 16)
    assert np.array_equal(again.knots, scales.knots)


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "_SAVE", 40)
    whole = _trained()
    keep = tmp_path / "training.safetensors"

    class StoppedError(Exception):
        pass

    saves = []
    real = fit.checkpoint.save

    def save(path: Path, name: str, tensors: dict[str, torch.Tensor]) -> None:
        real(path, name, tensors)
        saves.append(int(tensors["update"][0]))
        if saves[-1] == 80:
            raise StoppedError

    monkeypatch.setattr(fit.checkpoint, "save", save)
    with pytest.raises(StoppedError):
        _trained(keep)
    assert saves == [40, 80]
    torch.manual_seed(99)
    resumed = _trained(keep)
    assert resumed.curve.update == whole.curve.update
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), name


def test_rows_that_are_watched_shape_nothing(tmp_path: Path) -> None:
    x, y = modelled.table(120, seed=8)
    rows = modelled.rows()
    watched = some(x, y, rows.y, 1)
    seen = fit.fit(rows.x, rows.y, rows.classes, rows.benign, SMALL, 1, tmp_path / "kept", watched)
    for name, value in _trained().net.state_dict().items():
        assert torch.equal(value, seen.net.state_dict()[name]), name
    curve = seen.curve
    assert len(curve.update) == len(curve.held_auc) == len(curve.held_cross_entropy) == 4
    assert curve.held_auc[-1] > 0.95 > curve.held_auc[0]
    assert curve.held_cross_entropy[-1] < curve.held_cross_entropy[0]
    assert _trained().curve.held_auc == []


def test_checkpoints_of_others_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "_SAVE", 40)
    keep = tmp_path / "training.safetensors"
    _trained(keep, seed=2)
    other = _trained(keep)
    assert torch.equal(other.net.enter.weight, _trained().net.enter.weight)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"{}" * 100, bytes(8) + b"{}", b"\xff" * 64])
def test_bad_checkpoints_are_errors_that_name_the_file(tmp_path: Path, content: bytes) -> None:
    keep = tmp_path / "training.safetensors"
    keep.write_bytes(content)
    with pytest.raises(TrainerError, match=r"training\.safetensors: .*train anew"):
        _trained(keep)


def test_checkpoints_of_wrong_sizes_are_refused(tmp_path: Path) -> None:
    rows = modelled.rows()
    mark = fit.checkpoint.mark(rows.x, rows.y, SMALL, 1)
    keep = tmp_path / "training.safetensors"
    save_file({"update": torch.tensor([5])}, keep, metadata={"training": mark})
    with pytest.raises(TrainerError, match="is missing or of another size"):
        _trained(keep)


def test_what_is_watched_is_a_bounded_part_of_every_class() -> None:
    y = np.repeat([0, 2], [2000, 3]).astype(np.int64)
    x = np.arange(len(y), dtype=np.float32).reshape(-1, 1)
    own = some(x, y, np.array([0, 1, 2]), 1)
    assert own is not None
    assert np.bincount(own.y).tolist() == [300, 0, 3]
    assert (y[own.x[:, 0].astype(np.int64)] == own.y).all()
    assert some(x[:0], y[:0], y, 1) is None
    # Nothing learned says what the third class is.
    known = some(x, y, np.array([0, 1]), 1)
    assert known is not None
    assert set(known.y.tolist()) == {0}


def test_the_area_is_a_mean_over_classes() -> None:
    own = Watched(np.zeros((4, 1), dtype=np.float32), np.array([0, 0, 1, 2]))
    perfect = np.eye(3, dtype=np.float32)[own.y]
    assert own.auc(perfect) == 1
    assert own.loss(perfect) == pytest.approx(0, abs=1e-6)
    # Classes 1 and 2 taken for each other: each is below the other, and above or beside the rest.
    assert own.auc(perfect[:, [0, 2, 1]]) == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    alone = Watched(own.x[:2], own.y[:2])
    assert alone.auc(perfect[:2]) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 3}, "unknown setting 'width'"),
        ({"updates": 1.5}, "updates is 1.5, int is due"),
        ({"updates": True}, "int is due"),
        ({"updates": 0}, "updates is 0, 1 to"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"widths": [64]}, "two to six"),
        ({"widths": ["64", 3]}, "tuple is due"),
        ({"groups": 5}, "divide not"),
        ({"groups": 0}, "divide not"),
        ({"noise_loss": -1}, "noise_loss is -1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        settings.of(dict(values))
