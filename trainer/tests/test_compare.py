"""Comparisons: they finish, go on where they stopped, and learn from nothing that they judge on."""

import json
import shutil
from pathlib import Path
from typing import Any

import compared as report_fixture
import modelled
import numpy as np
import pytest

from ganglion_trainer import bundle, config, dataset, evaluate, explain, report, single, splits
from ganglion_trainer.cli import main
from ganglion_trainer.compare import bootstrap, render, run, work
from ganglion_trainer.config import Config
from ganglion_trainer.contract import Fitted, Hyper, Rows
from ganglion_trainer.derived import F32
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.graph import Session
from ganglion_trainer.report import explained as report_explained

MODELS = ("diffusion", "extra-trees", "k-means", "vote")


@pytest.fixture(scope="module")
def settings() -> Config:
    own = run.quick(config.load())
    own.diffusion.update({"widths": [24, 16], "groups": 2, "noise_batch": 32, "anomaly_batch": 32})
    return own


def _request(out: Path, models: tuple[str, ...] = MODELS, seeds: int = 1) -> run.Request:
    return run.Request(models, ("stratified", "grouped"), (seeds, 1), out, True, "a test")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, settings: Config) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("compared")
    return out, run.compare(modelled.dataset(), settings, _request(out))


def test_a_comparison_says_all_that_reports_need(compared: tuple[Path, dict[str, Any]]) -> None:
    out, result = compared
    assert json.loads((out / run.RESULT).read_text()) == result
    assert [(own["model"], own["split"]) for own in result["results"]] == [
        (model, split) for split in ("stratified", "grouped") for model in MODELS
    ]
    for own in result["results"]:
        assert own["macro_f1_low"] <= own["macro_f1"] <= own["macro_f1_high"]
        assert set(own["f1"]) == set(result["class_rows"]) == {"Benign", "DoS", "PortScan", "Web"}
        with np.load(out / own["oof"][0], allow_pickle=False) as file:
            assert file["proba"].shape == (240, 4)
            assert np.abs(file["proba"].sum(axis=1) - 1).max() < 1e-4
            assert (file["fold"] >= 0).all()
            found = np.array(result["classes"])[file["proba"].argmax(axis=1)]
            assert np.trace(own["confusion"]) == (found == file["y"]).sum()
    assert {own["model"] for own in result["leave_one_out"]} == {"diffusion", "extra-trees", "k-means"}
    for left in result["leave_one_out"]:
        assert set(left["classes"]) == {"DoS", "PortScan", "Web"}
        assert 0.5 < left["mean_auroc"] <= 1
    curves = result["curves"]["diffusion"]
    assert [(own["split"], own["fold"]) for own in curves] == [
        (split, fold) for split in ("stratified", "grouped") for fold in range(3)
    ]
    for own in curves:
        assert len(own["held_auc"]) == len(own["held_cross_entropy"]) == len(own["noise"]) == len(own["update"]) > 1
        assert 0 <= min(own["held_auc"]) <= max(own["held_auc"]) <= 1
    text = render.text(result)
    assert "diffusion" in text
    assert "left out" in text


def test_what_is_done_is_not_done_again(
    compared: tuple[Path, dict[str, Any]], settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, result = compared
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "parts" / "extra-trees.grouped.1.2.npz").unlink()
    real, made = work.maker, []
    monkeypatch.setattr(work, "maker", lambda name, config: made.append(name) or real(name, config))
    resumed = run.compare(modelled.dataset(), settings, _request(again))
    assert made == ["extra-trees"]
    for one, other in zip(result["results"], resumed["results"], strict=True):
        assert one["macro_f1"] == other["macro_f1"]
    # How the laboratory's model is trained is no setting of a comparison.
    made.clear()
    elsewhere = run.replace(settings, train=settings.train | {"seed": 99})
    run.compare(modelled.dataset(), elsewhere, _request(again))
    assert made == []
    # Other settings make other results: nothing of before is taken over.
    other = run.quick(config.load())
    other.compare["evenness"] = 1.0
    made.clear()
    run.compare(modelled.dataset(), other, _request(again, ("k-means",)))
    assert set(made) == {"k-means"}


def test_more_seeds_go_to_the_diffusion_model_and_the_best_rivals(
    compared: tuple[Path, dict[str, Any]], settings: Config, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(compared[0], again)
    result = run.compare(modelled.dataset(), settings, _request(again, seeds=2))
    seeds = {(own["model"], own["split"]): own["seeds"] for own in result["results"]}
    assert seeds["diffusion", "stratified"] == seeds["extra-trees", "stratified"] == [1, 2]
    assert seeds["k-means", "stratified"] == seeds["diffusion", "grouped"] == [1]


def test_broken_results_are_named(compared: tuple[Path, dict[str, Any]], settings: Config, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(compared[0], again)
    (again / "parts" / "k-means.stratified.1.0.npz").write_bytes(b"PK\x03\x04 half of a file")
    with pytest.raises(TrainerError, match=r"k-means\.stratified\.1\.0\.npz: not a finished result"):
        run.compare(modelled.dataset(), settings, _request(again))


class _Spy:
    """A maker that notes what it is shown."""

    family = "tabular"

    def __init__(self) -> None:
        self.shown: list[F32] = []
        self.asked: list[F32] = []

    def draw(self, _random: np.random.Generator) -> Hyper:
        return {}

    def fit(self, rows: Rows, _hyper: Hyper, _seed: int, _effort: float) -> Fitted:
        self.shown.append(rows.x)
        spy = self

        class Model:
            def score(self, x: F32) -> tuple[F32, F32]:
                spy.asked.append(x)
                return np.full((len(x), rows.classes), 1 / rows.classes, dtype=np.float32), x[:, 0]

            def looks(self, x: F32) -> dict[str, F32]:
                spy.asked.append(x)
                return {"one": x[:, 0]}

            def parameters(self) -> int:
                return 0

            def onnx(self) -> Any:  # noqa: ANN401
                raise AssertionError

        return Model()


@pytest.mark.parametrize("split", ["stratified", "grouped"])
def test_no_model_learns_from_rows_that_it_is_judged_on(
    split: splits.How, settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = _Spy()
    monkeypatch.setattr(work, "maker", lambda _name, _config: spy)
    task = run._task(modelled.dataset(), settings, _request(tmp_path))
    for number in range(1, 3):
        spy.shown.clear()
        spy.asked.clear()
        values, _ = work.fold(task, "spy", split, 1, number)
        # The search and its judging rows too: the last question alone is about the held-out fold.
        judged = {row.tobytes() for row in spy.asked[-1]}
        assert len(judged) == len(values["at"])
        for rows in (*spy.shown, *spy.asked[:-1]):
            assert not judged & {row.tobytes() for row in rows}
    if split == "grouped":
        fold = task.fold_of(split, 1)
        groups = [set(task.arrays.group[fold == number].tolist()) for number in range(3)]
        assert not groups[0] & groups[1]


def test_a_class_left_out_is_not_learned_from(
    settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = _Spy()
    monkeypatch.setattr(work, "maker", lambda _name, _config: spy)
    task = run._task(modelled.dataset(), settings, _request(tmp_path))
    values, _ = work.left_out(task, "spy", 4, 1, {})
    learned = {row.tobytes() for row in spy.shown[0]}
    assert not learned & {row.tobytes() for row in spy.asked[0]}
    assert values["unknown"].sum() == 60


def test_intervals_hold_the_score_and_shrink_with_rows() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (300, 3000):
        truth = (np.arange(count) % 3).astype(np.int64)
        found = np.where(rng.random(count) < 0.9, truth, (truth + 1) % 3).astype(np.int64)
        low, high = bootstrap.interval(bootstrap.draw(truth, [found], 3, 400).macro([0, 1, 2]))
        own = bootstrap.f1_scores(bootstrap.tables(truth, [found], 3))[0].mean()
        assert low < own < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_one_class_can_not_be_compared(settings: Config, tmp_path: Path) -> None:
    data = modelled.dataset()
    alone = run.replace(data, arrays=data.arrays.take(data.arrays.y == 1))
    with pytest.raises(TrainerError, match="Benign and one attack at least"):
        run.compare(alone, settings, _request(tmp_path))
    with pytest.raises(TrainerError, match="unknown model 'tree'"):
        run.models_for(data, ["tree"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, settings: Config) -> tuple[Path, Path]:
    """A data set on disk, and a diffusion model of it."""
    folder = tmp_path_factory.mktemp("single")
    dataset.write(modelled.dataset(), folder / "data")
    single.train(dataset.read(folder / "data"), settings, "diffusion", 1, folder / "model")
    return folder / "data", folder / "model"


def test_a_single_model_becomes_a_bundle(model: tuple[Path, Path], settings: Config, tmp_path: Path) -> None:
    data, folder = model
    comparison = tmp_path / "compared"
    run.compare(dataset.read(data), settings, _request(comparison, ("diffusion",)))
    shared = ["--data", str(data), "--model", str(folder)]
    options = ["--profile", "cicflowmeter", "--id", "small", "--comparison", str(comparison / run.RESULT)]
    assert main(["export", *shared, *options, "-o", str(tmp_path / "bundle")]) == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["profile"] == "cicflowmeter"
    assert manifest["classes"] == [1, 3, 4, 7]
    assert manifest["metrics"]["cross_validation"]["grouped"]["macro_f1"] > 0.5
    scores = {f"score:{own}" for own in ("anomaly", 1, 3, 4, 7)}
    assert scores | set(manifest["features"]) == set(manifest["quantiles"])
    assert all(np.diff(own).min() >= 0 for own in manifest["quantiles"].values())
    assert len(manifest["background"]) <= 64
    session = Session((tmp_path / "bundle" / "model.onnx").read_bytes(), "bundle")
    x, y = modelled.table(100, seed=9)
    found, anomaly = session.score(x)
    assert (found.argmax(axis=1) == y).mean() > 0.8
    assert anomaly.shape == (100,)
    assert main(["export", *shared, "--profile", "ganglion", "-o", str(tmp_path / "other")]) == 1


def test_trees_that_split_at_values_of_rows_become_a_bundle(settings: Config, tmp_path: Path) -> None:
    data = modelled.dataset()
    # Whole numbers: all rows lie at borders of boosted trees.
    x = np.round(np.log1p(np.maximum(data.arrays.x, 0))).astype(np.float32)
    dataset.write(run.replace(data, arrays=run.replace(data.arrays, x=x)), tmp_path / "data")
    single.train(dataset.read(tmp_path / "data"), settings, "xgboost", 1, tmp_path / "model")
    names = ("small", "1.0.0")
    made = bundle.export(dataset.read(tmp_path / "data"), tmp_path / "model", names, None, tmp_path / "out", "a test")
    assert 8 <= len(made["self_test"]["rows"]) <= 12
    rows = np.array(made["self_test"]["rows"], dtype=np.float32)
    session = Session((tmp_path / "out" / "model.onnx").read_bytes(), "bundle")
    moved = session.score(rows * np.float32(1 - 1e-6))[0] - session.score(rows)[0]
    assert np.abs(moved).max() > 1e-3, "none of this would be a test if rows were steady"


def test_a_single_model_is_judged_and_explained(model: tuple[Path, Path], tmp_path: Path) -> None:
    data, folder = model
    result = evaluate.evaluate(dataset.read(data), folder, "train")
    assert result["macro_f1"] > 0.8
    told = explain.explain(dataset.read(data), folder, 4, 1, tmp_path / "explained.json")
    about = report_explained.read(tmp_path / "explained.json")
    assert (about.model, about.dataset_digest) == ("diffusion", dataset.read(data).digest)
    assert [[own, weight] for own, weight in about.features] == told["features"]
    assert json.loads((folder / "training.json").read_text())["curve"]["held_auc"]
    own = tmp_path / "compared"
    report_fixture.write(own)
    with pytest.raises(TrainerError, match="of other data sets"):
        report.build(report.Request([own], tmp_path / "x.html", trained=[folder]))
    value = json.loads((own / run.RESULT).read_text()) | {"dataset_digest": dataset.read(data).digest}
    (own / run.RESULT).write_text(json.dumps(value))
    written = report.build(report.Request([own], tmp_path / "x.html", trained=[folder]))
    assert "trained-diffusion" in {path.stem for path in written}
    assert set(told["classes"]) == {"Benign", "DoS", "PortScan", "Web"}
    assert [len(own["features"]) for own in told["classes"].values()] == [len(Trained(folder).features)] * 4


def test_bundles_are_of_the_data_that_made_them(model: tuple[Path, Path], tmp_path: Path) -> None:
    other = modelled.dataset(seed=2)
    with pytest.raises(TrainerError, match="trained on another data set"):
        bundle.export(other, model[1], ("small", "1.0.0"), None, tmp_path, "a test")
