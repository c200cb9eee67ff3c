"""The page shows what is in the results, loads nothing, and refuses what is none."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import compared
import modelled
import numpy as np
import pytest

from ganglion_trainer import cli, config, dataset, report
from ganglion_trainer.compare import run
from ganglion_trainer.derived import STAGES
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.report import explained, figures, html, overview, quality, results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compared") / "sample"
    compared.write(made)
    return made


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    path = made / "report.html"
    told = compared.explained(made / "explained.json")
    report.build(report.Request([folder], path, bench=[_bench(made)], explained=[told]))
    return path


def _bench(folder: Path, digest: str | None = "0" * 64) -> Path:
    """What the brain wrote, as of the model compared; a test of the CLI keeps its layout."""
    about = json.loads((Path(__file__).parent / "bench.json").read_text())
    about["trained"]["dataset_digest"] = digest
    path = folder / "bench.json"
    path.write_text(json.dumps(about))
    return path


class Reader(HTMLParser):
    """Whether tags close, what they point to, and what the page says."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        if of.get("id"):
            self.ids.append(str(of["id"]))
        if tag == "a":
            self.links.append(str(of["href"]))
        if tag == "img":
            self.images.append(of)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


def test_the_page_is_whole_and_loads_nothing(page: Path) -> None:
    reader, text = read(page), page.read_text()
    assert len(reader.images) == 15
    for image in reader.images:
        assert str(image["src"]).startswith("data:image/png;base64,")
        assert image["alt"]
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
    assert len(set(reader.ids)) == len(reader.ids)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def test_the_page_says_what_the_results_say(page: Path, folder: Path) -> None:
    about = json.loads((folder / "compare.json").read_text())
    text = " ".join(read(page).text)
    for own in about["results"]:
        assert f"{own['macro_f1']:.4f}" in text
        assert f"{own['macro_f1_low']:.4f}–{own['macro_f1_high']:.4f}" in text
    for value in about["published"].values():
        assert f"{value:.3f}" in text
    for name in ("UNetFC-DDPM", "Isolation forest", "Heartbleed 8 rows", "0.9500", "data set " + "0" * 64):
        assert name in text
    assert "Not told: the data set that the rows come from was not given" in text
    assert "Not in these results" not in text


def test_the_page_says_what_the_brain_measured(page: Path, folder: Path, tmp_path: Path) -> None:
    about = json.loads((Path(__file__).parent / "bench.json").read_text())
    assert about["trained"]["model"] == "diffusion"
    text = " ".join(read(page).text)
    fastest = max(own["rows_per_s"] for own in about["speed"])
    assert f"{fastest / 1000:.3g} k" in text
    for own in (*about["speed"], about["latency"]):
        assert f"{own['p99_us']:.0f} µs" in text or f"{own['p99_us'] / 1000:.1f} ms" in text
    for own in about["speed"]:
        assert f"{round(own['rows_per_s']):,}".replace(",", "\u202f") in text
    # A bundle that learned from other rows stands apart, and its speed is no model's here.
    out = tmp_path / "other.html"
    report.build(report.Request([folder], out, bench=[_bench(tmp_path, "9" * 64)]))
    text = " ".join(read(out).text)
    assert "Other bundles in the brain" in text
    assert f"{fastest / 1000:.3g} k" not in text


def test_the_page_says_which_inputs_matter(page: Path, folder: Path, tmp_path: Path) -> None:
    assert "feature 0 0.100, feature 1 0.050" in " ".join(read(page).text)
    told = compared.explained(tmp_path / "explained.json", digest="9" * 64)
    with pytest.raises(TrainerError, match="diffusion: of other data sets"):
        report.build(report.Request([folder], tmp_path / "x.html", explained=[told]))
    value = json.loads(told.read_text())
    for change, word in (
        ({"format": 1}, "explain anew"),
        ({"features": [["a"]]}, "no name of a feature"),
        ({"classes": {"Nothing": {}}}, "'Nothing' is no class"),
        ({"model": None}, "'model' is NoneType"),
    ):
        told.write_text(json.dumps(value | change))
        with pytest.raises(TrainerError, match=word):
            explained.read(told)


def test_a_data_set_without_stages_says_so(folder: Path, tmp_path: Path) -> None:
    dataset.write(modelled.dataset(), tmp_path / "data")
    own = tmp_path / "compared"
    shutil.copytree(folder, own)
    about = json.loads((own / "compare.json").read_text())
    about["dataset_digest"] = dataset.read(tmp_path / "data").digest
    (own / "compare.json").write_text(json.dumps(about))
    report.build(report.Request([own], tmp_path / "x.html", data=[tmp_path / "data"]))
    assert "one row per flow, made at its end" in " ".join(read(tmp_path / "x.html").text)


def test_pictures_lie_beside_the_page(page: Path) -> None:
    pictures = {path.stem for path in (page.parent / "report-figures").iterdir()}
    confusions = {f"confusion-{model}-{split}" for model in compared.MODELS for split in ("stratified", "grouped")}
    others = {
        "models",
        "roc",
        "precision-recall",
        "calibration",
        "training-diffusion",
        "unknown",
        "importance-diffusion",
    }
    assert pictures == confusions | others
    for path in (page.parent / "report-figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_what_is_not_there_is_not_shown(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    shutil.copytree(folder, few)
    about = json.loads((few / "compare.json").read_text())
    for name in ("leave_one_out", "curves", "k_table", "splits", "published"):
        del about[name]
    about["results"] = [own for own in about["results"] if own["model"] == "xgboost" and own["split"] == "grouped"]
    about["quick"] = True
    (few / "compare.json").write_text(json.dumps(about))
    out = tmp_path / "out" / "few.html"
    assert cli.main(["report", "--compare", str(few), "-o", str(out), "--figures", str(tmp_path / "pictures")]) == 0
    text = " ".join(read(out).text)
    assert "Not in these results: unknown attacks, training, speed in the brain, steps and precision, features." in text
    assert "its figures say nothing about the models" in text
    assert "published" not in text.lower()
    assert (tmp_path / "pictures" / "roc.png").exists()


def test_several_comparisons_on_one_page(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "live"
    compared.write(other, splits=("grouped",), seed=2)
    written = report.build(report.Request([folder, other], tmp_path / "both.html"))
    reader = read(tmp_path / "both.html")
    assert {"c1", "c2"} <= set(reader.ids)
    assert {path.parent.name for path in written[1:]} == {"sample", "live"}


def test_names_from_outside_are_escaped(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(folder, odd)
    evil = "<script>alert(1)</script>"
    text = (odd / "compare.json").read_text().replace("ganglion-trainer compare", evil)
    (odd / "compare.json").write_text(text.replace('"feature 0"', f'"{evil}"').replace('"a", "b"', f'"{evil}", "b"'))
    report.build(report.Request([odd], tmp_path / "odd.html", title=evil))
    assert "<script" not in (tmp_path / "odd.html").read_text()
    assert "&lt;script&gt;" in (tmp_path / "odd.html").read_text()


def test_results_that_are_none(folder: Path, tmp_path: Path) -> None:
    def spoil(edit: Callable[[dict[str, Any]], object], word: str) -> None:
        spoiled = tmp_path / "spoiled"
        shutil.rmtree(spoiled, ignore_errors=True)
        shutil.copytree(folder, spoiled)
        about = json.loads((spoiled / "compare.json").read_text())
        edit(about)
        (spoiled / "compare.json").write_text(json.dumps(about))
        with pytest.raises(TrainerError, match=word):
            report.build(report.Request([spoiled], tmp_path / "x.html"))
        assert not (tmp_path / "x.html").exists()

    spoil(lambda about: about.update(format=9), "format 9")
    spoil(lambda about: about.update(classes=[1, 99]), "unknown class 99")
    spoil(lambda about: about.update(results=[]), "no results of a classifier")
    spoil(lambda about: about["results"][0].pop("macro_f1"), "'macro_f1' is missing")
    spoil(lambda about: about["results"][0].update(confusion=[[1]]), "not of 5 classes")
    spoil(lambda about: about["results"].append(3), "holds a int")
    spoil(lambda about: about["results"][0].update(oof=["../../secret.npz"]), "lies outside")
    spoil(lambda about: about["results"][0].update(oof=["oof/absent.npz"]), "No such file")
    with pytest.raises(TrainerError, match="No such file"):
        report.build(report.Request([tmp_path / "absent"], tmp_path / "x.html"))
    bench = json.loads(_bench(tmp_path).read_text())
    for change, word in (
        ({"speed": []}, "holds nothing of"),
        ({"speed": [1]}, "holds a int"),
        ({"speed": [bench["speed"][0] | {"rows_per_s": "fast"}]}, "'rows_per_s' is str"),
        ({"trained": None}, "'trained' is NoneType"),
        ({"latency": {}}, "'rate_per_s' is missing"),
    ):
        (tmp_path / "bench.json").write_text(json.dumps(bench | change))
        with pytest.raises(TrainerError, match=word):
            report.build(report.Request([folder], tmp_path / "x.html", bench=[tmp_path / "bench.json"]))


def test_scores_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "scores"
    shutil.copytree(folder, own)
    comparison = results.read(own)
    result = comparison.results[0]
    path = own / result["oof"][0]
    good = dict(np.load(path))
    for change, word in (
        ({"proba": good["proba"][:, :2]}, "do not fit"),
        ({"y": good["y"][:5]}, "do not fit"),
        ({"proba": np.full_like(good["proba"], np.nan)}, "NaN"),
    ):
        np.savez(path, **(good | change))
        with pytest.raises(TrainerError, match=word):
            comparison.scores(result)
    np.savez(path, proba=good["proba"])
    with pytest.raises(TrainerError, match=r"array .* is missing"):
        comparison.scores(result)
    path.write_bytes(b"nothing")
    with pytest.raises(TrainerError, match=r"\.npz"):
        comparison.scores(result)


def test_curves_are_thinned_without_loss_of_shape() -> None:
    rng = np.random.default_rng(1)
    y = rng.choice(np.array([1, 3], dtype=np.uint8), 50_000)
    seen = np.clip(rng.normal(0.3 + 0.4 * (y == 3), 0.2), 0, 1)
    proba = np.stack([1 - seen, seen], axis=1).astype(np.float32)
    scores = results.Scores(proba, seen.astype(np.float32), y, np.zeros(len(y), dtype=np.int8))
    for curve in quality.roc(scores, [1, 3]):
        assert len(curve.x) < 1500
        assert (curve.x[0], curve.y[0]) == (0, 0)
        assert (curve.x[-1], curve.y[-1]) == (1, 1)
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(curve.area, abs=0.01)
    assert [curve.label for curve in quality.precision_recall(scores, [1, 3])] == [1, 3]


def test_reliability_of_a_model_that_knows_itself() -> None:
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 1, 40_000)
    y = np.where(rng.random(len(sure)) < sure, 1, 3).astype(np.uint8)
    proba = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    scores = results.Scores(proba, sure.astype(np.float32), y, np.zeros(len(y), dtype=np.int8))
    own = quality.reliability(scores, [1, 3])
    np.testing.assert_allclose(own.claimed, own.true, atol=0.03)
    assert own.error < 0.01
    sham = results.Scores(np.tile(np.float32([0.99, 0.01]), (len(y), 1)), scores.anomaly, y, scores.fold)
    assert quality.reliability(sham, [1, 3]).error == pytest.approx(0.24, abs=0.02)


def test_scores_per_stage(data_folder: Path) -> None:
    data = dataset.read(data_folder)
    arrays = data.split("train")
    classes = sorted(int(label) for label in np.unique(arrays.y))
    truth = np.searchsorted(classes, arrays.y)
    proba = np.eye(len(classes), dtype=np.float32)[truth]
    wrong = arrays.stage == 1
    proba[wrong] = np.eye(len(classes), dtype=np.float32)[(truth[wrong] + 1) % len(classes)]
    scores = results.Scores(proba, proba[:, 0], arrays.y, np.zeros(len(truth), dtype=np.int8))
    comparison = results.Comparison(Path(), {}, classes, [], [])
    found = quality.per_stage(comparison, scores, data)
    assert found["packets-8"]["macro_f1"] == 0.0
    assert found["end"]["macro_f1"] == 1.0
    assert found["packets-8"]["rows"] == int(wrong.sum())
    other = results.Scores(proba[:5], proba[:5, 0], arrays.y[:5], np.zeros(5, dtype=np.int8))
    assert quality.per_stage(comparison, other, data) == {}


def test_classes_of_few_rows_say_nothing_of_a_stage() -> None:
    stage = np.repeat([0, 1, 1], [40, 20, 3]).astype(np.uint8)
    y = np.repeat([1, 3, 1], [40, 20, 3]).astype(np.uint8)
    data = modelled.dataset(len(y))
    data = replace(data, arrays=replace(data.arrays, y=y, stage=stage))
    proba = np.eye(2, dtype=np.float32)[(y == 3).astype(np.int64)]
    proba[-3:] = [0, 1]
    scores = results.Scores(proba, proba[:, 0], y, np.zeros(len(y), dtype=np.int8))
    found = quality.per_stage(results.Comparison(Path(), {}, [1, 3], [], []), scores, data)
    assert found["packets-8"]["recall"] == {"DoS": 1.0}
    assert found["packets-8"]["macro_f1"] == pytest.approx(2 * 20 / (2 * 20 + 3))


def test_a_page_of_recordings_shows_stages(data_folder: Path, tmp_path: Path) -> None:
    data, settings = dataset.read(data_folder), run.quick(config.load())
    run.compare(data, settings, run.Request(("extra-trees",), ("grouped",), (1,), tmp_path / "live", True, "a test"))
    out = tmp_path / "live.html"
    written = report.build(report.Request([tmp_path / "live"], out, data=[data_folder]))
    assert "stages" in {path.stem for path in written}
    text = " ".join(read(out).text)
    for words in ("Macro F1 per stage", "Recall per stage, Extra trees"):
        assert words in text
    present = [figures.STAGES[stage] for number, stage in enumerate(STAGES) if (data.arrays.stage == number).sum() > 90]
    assert len(present) > 1
    assert all(f" {stage} " in text for stage in present)


def test_the_verdict_follows_the_intervals(folder: Path) -> None:
    comparison = results.read(folder)
    ours, rival = (comparison.find(model, "stratified") for model in ("diffusion", "extra-trees"))
    xgboost = comparison.find("xgboost", "stratified")
    assert ours is not None
    assert rival is not None
    assert xgboost is not None
    xgboost["macro_f1"] = 0.5
    for mine, theirs, word in (
        ((0.99, 0.985, 0.995), (0.97, 0.96, 0.98), "the diffusion model is ahead, and the intervals do not meet"),
        ((0.95, 0.94, 0.955), (0.97, 0.96, 0.98), "the rival is ahead, and the intervals do not meet"),
        ((0.97, 0.96, 0.98), (0.971, 0.96, 0.98), "the rival is ahead by 0.0010, within the intervals"),
    ):
        for own, values in ((ours, mine), (rival, theirs)):
            own |= dict(zip(("macro_f1", "macro_f1_low", "macro_f1_high"), values, strict=True))
        assert word in overview.verdict(comparison, "stratified")


def test_tables_are_escaped_and_aligned() -> None:
    table = html.Table(["<a>", "b"], "c & d", texts=frozenset({1}))
    table.add("<x>", ["<y>"])
    assert str(table).count("&lt;") == 3
    assert "c &amp; d" in str(table)
