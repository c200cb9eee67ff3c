"""From recordings to a bundle."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from ganglion_trainer import candidates, cli, config, dataset, evaluate, export, graph, inputs, metrics, prepare, train
from ganglion_trainer.config import Config


def test_a_bundle_from_recordings_with_one_command(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[train]\ncandidates = ['extra-trees']\nfolds = 3\n")
    bundles = []
    for name in ("a", "b"):
        out = tmp_path / name / "lab"
        arguments = ["all", "--recordings", str(recordings), "-o", str(out), "--config", str(own)]
        assert cli.main(arguments) == 0, capsys.readouterr().err
        bundles.append(out)
    first, second = ((out / "model.onnx").read_bytes() for out in bundles)
    assert first == second
    manifest, other = (json.loads((out / "manifest.json").read_text()) for out in bundles)
    del manifest["training"]["commands"], other["training"]["commands"]
    assert manifest == other
    assert manifest["metrics"]["held_out"]["macro_f1"] > 0.85
    said = capsys.readouterr().out
    assert "PortScan" in said
    assert "held-out runs" in said


def test_the_manifest_is_what_the_brain_reads(
    data_folder: Path, model_folder: Path, settings: Config, tmp_path: Path
) -> None:
    manifest = export.export(dataset.read(data_folder), model_folder, settings, tmp_path, ["a command"])
    due = {"format", "id", "version", "kind", "profile", "features", "classes", "thresholds", "quantiles", "background"}
    due |= {"self_test", "metrics", "training", "digests", "signature"}
    assert set(manifest) == due
    assert (manifest["format"], manifest["kind"], manifest["profile"]) == (1, "classifier", "ganglion")
    assert set(manifest["thresholds"]) == {"anomaly"}
    assert set(manifest["self_test"]) == {"rows", "probabilities", "anomaly"}
    assert manifest["classes"] == [1, 2, 4, 6]
    assert manifest["signature"] is None
    width = len(manifest["features"])
    assert all(len(row) == width for row in manifest["self_test"]["rows"] + manifest["background"])
    scores = [f"score:{own}" for own in ("anomaly", *manifest["classes"])]
    assert list(manifest["quantiles"]) == [*manifest["features"], *scores]
    assert all(len(own) == 11 and np.diff(own).min() >= 0 for own in manifest["quantiles"].values())
    # Benign rows are mostly found benign.
    assert manifest["quantiles"]["score:1"][5] > 0.5 > manifest["quantiles"]["score:4"][5]
    assert len(manifest["training"]["recordings"]) == 2
    assert manifest["training"]["classes_left_empty"] == ["Unknown", "DoS", "Bot", "Web", "Heartbleed", "Infiltration"]
    # What is read back as f32 is what was scored.
    rows = np.array(json.loads((tmp_path / "manifest.json").read_text())["self_test"]["rows"], dtype=np.float32)
    probabilities, _ = graph.Session((tmp_path / "model.onnx").read_bytes(), "x").score(rows)
    assert np.array_equal(probabilities, np.array(manifest["self_test"]["probabilities"], dtype=np.float32))


def test_the_graph_keeps_the_contract(model_folder: Path) -> None:
    trained = evaluate.Trained(model_folder)
    model = onnx.load_from_string(trained.model)
    assert [value.name for value in model.graph.input] == ["features"]
    assert [value.name for value in model.graph.output] == ["probabilities", "anomaly"]
    session = graph.Session(trained.model, "x")
    width = len(trained.features)
    for rows in (1, 5):
        probabilities, anomaly = session.score(np.zeros((rows, width), dtype=np.float32))
        assert probabilities.shape == (rows, len(trained.classes))
        assert anomaly.shape == (rows,)
    largest = np.finfo(np.float32).max
    for value in (largest, -largest, 1e-40):
        probabilities, anomaly = session.score(np.full((2, width), value, dtype=np.float32))
        assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-5
        assert np.isfinite(anomaly).all()


def test_odd_rows_score_as_unusual(model_folder: Path, data_folder: Path) -> None:
    trained, data = evaluate.Trained(model_folder), dataset.read(data_folder)
    arrays = data.split("test")
    x = arrays.x[:, trained.columns(data)]
    session = graph.Session(trained.model, "x")
    usual = session.score(x[arrays.y == 1])[1]
    odd = session.score(np.full((1, x.shape[1]), 1e9, dtype=np.float32))[1]
    assert (usual < trained.threshold).mean() > 0.95
    assert odd[0] > 3 * trained.threshold


@pytest.mark.parametrize("name", config.CANDIDATES)
def test_every_candidate_exports_what_it_learned(
    name: str, data_folder: Path, settings: Config, tmp_path: Path
) -> None:
    own = replace(settings, train=settings.train | {"candidates": [name]})
    about = train.train(dataset.read(data_folder), own, tmp_path)
    assert about["chosen"] == name
    assert about["onnx_apart_from_sklearn"] == 0
    assert about["candidates"][name]["macro_f1"] > 0.8


def test_inputs_leave_out_what_they_must(data_folder: Path, settings: Config) -> None:
    data = dataset.read(data_folder)
    x = data.arrays.x
    columns = inputs.choose(data.features, x, settings)
    assert "ece_packets" not in columns.names
    assert columns.left_out["ece_packets"] == "never varies"
    assert "TCP windows" in columns.left_out["fwd_window_first"]
    raw = ["src_addr", "initiator_port", "header_time", "fwd_packets"]
    assert inputs.choose(raw, x[:, [0, 1, 6, 9]], settings).names == ["fwd_packets"]


def test_folds_keep_flows_and_attack_runs_together(data_folder: Path) -> None:
    arrays = dataset.read(data_folder).split("train")
    groups = inputs.fold_groups(arrays)
    for episode in np.unique(arrays.episode[arrays.episode >= 0]):
        assert len(np.unique(groups[arrays.episode == episode])) == 1
    benign = arrays.y == 1
    flows, rows = len(np.unique(groups[benign])), int(benign.sum())
    # Each benign flow has a snapshot and an end.
    assert flows < 0.6 * rows


def test_thinning_keeps_whole_flows(recordings: Path, settings: Config) -> None:
    few = replace(settings, prepare=settings.prepare | {"max_rows_per_cell": 20})
    data = prepare.prepare([recordings / "train-1"], few)
    arrays = data.arrays
    assert data.runs[0]["thinned"] > 0
    browse = (arrays.origin == data.origins.index("browse")) & (arrays.kind == 1)
    early, end = (set(arrays.group[browse & (arrays.stage == stage)].tolist()) for stage in (1, 0))
    assert early == end
    assert len(end) == 20


def test_weights_are_balanced(data_folder: Path) -> None:
    arrays = dataset.read(data_folder).split("train")
    weight = inputs.weights(arrays, [1, 2, 4, 6], 3.0, 0.75)
    sums = [weight[arrays.y == label].sum() for label in (1, 2, 4, 6)]
    assert np.allclose(np.array(sums) / sums[1], [3, 1, 1, 1])


def test_calibration_sharpens_or_softens(data_folder: Path, settings: Config) -> None:
    data, _ = train._data(dataset.read(data_folder), settings)
    rng = np.random.default_rng(1)
    honest = np.full((len(data.y), len(data.classes)), 0.1)
    right = rng.random(len(data.y)) < 0.7
    honest[np.arange(len(data.y)), np.where(right, data.y, (data.y + 1) % len(data.classes))] = 0.7
    boastful = honest**6 / (honest**6).sum(axis=1, keepdims=True)
    temperature = train._temperature(data, boastful)
    assert 3 < temperature <= 5
    before = metrics.calibration_error(data.y, boastful, data.weight)
    assert metrics.calibration_error(data.y, train._calibrated(boastful, temperature), data.weight) < before


def test_pruned_leaves_change_no_answer(data_folder: Path, settings: Config) -> None:
    data, _ = train._data(dataset.read(data_folder), settings)
    model = candidates.fit("random-forest", 1, data.transformed, data.y, data.weight)
    converted = candidates.to_onnx(model, data.x.shape[1])
    tree = next(node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier")
    assert 0 not in next(attribute for attribute in tree.attribute if attribute.name == "class_weights").floats


def test_metrics_by_hand() -> None:
    table = metrics.confusion(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 3)
    assert table.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert np.isclose(metrics.macro_f1(table), (0.5 + 2 / 3) / 2)
    low, high = np.array([0, 1], dtype=np.float32), np.array([1, 2], dtype=np.float32)
    assert metrics.auroc(low, high) == 0.875
