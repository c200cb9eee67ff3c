"""Bad input gets one clear line."""

import json
import lzma
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from synthetic import FEATURES

from ganglion_trainer import cli, config, dataset, derived, evaluate, events, export, graph, prepare, train
from ganglion_trainer.config import Config
from ganglion_trainer.errors import TrainerError


@pytest.fixture
def run(recordings: Path, tmp_path: Path) -> Path:
    """A recording to spoil."""
    shutil.copytree(recordings / "test-2", tmp_path / "run")
    return tmp_path / "run"


def change(path: Path, edit: Callable[[str], str]) -> None:
    path.write_text(edit(path.read_text()))


def refused(run: Path, *parts: str) -> None:
    with pytest.raises(TrainerError) as caught:
        prepare.prepare([run], config.load())
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_missing_files(run: Path) -> None:
    for name in ("events.jsonl", "meta.csv", "rows.f32", "features.json"):
        (run / name).unlink()
        refused(run, name, "No such file")


def test_rows_of_another_size(run: Path) -> None:
    size = (run / "rows.f32").stat().st_size
    with (run / "rows.f32").open("r+b") as file:
        file.truncate(size - 3)
    refused(run, "rows.f32", str(size - 3), str(size))


def test_no_rows(run: Path) -> None:
    (run / "rows.f32").write_bytes(b"")
    change(run / "features.json", lambda text: json.dumps(json.loads(text) | {"rows": 0}))
    refused(run, "no rows")


def test_nan_is_named_with_row_and_column(run: Path) -> None:
    rows = np.fromfile(run / "rows.f32", dtype="<f4")
    rows[5 * len(FEATURES) + 6] = np.nan
    rows.tofile(run / "rows.f32")
    refused(run, "row 5", "'fwd_packets'", "nan")


def test_features_json_that_contradicts_itself(run: Path) -> None:
    original = json.loads((run / "features.json").read_text())
    for change_to, word in (
        ({"format": 9}, "format 9"),
        ({"columns": 3}, "3 columns"),
        ({"features": [1, 2]}, "not only strings"),
        ({"rows": "many"}, "'rows' is str"),
        ({"rows": True}, "'rows' is bool"),
    ):
        (run / "features.json").write_text(json.dumps(original | change_to))
        refused(run, "features.json", word)
    del original["digest"]
    (run / "features.json").write_text(json.dumps(original))
    refused(run, "'digest' is missing")
    for text in ("{", "[]", "[" * 100_000):
        (run / "features.json").write_text(text)
        refused(run, "features.json")


def test_columns_that_labels_need(run: Path) -> None:
    change(run / "features.json", lambda text: text.replace('"silence_us"', '"quiet_us"'))
    refused(run, "'silence_us' is missing")


def test_meta_of_another_length_or_shape(run: Path) -> None:
    original = (run / "meta.csv").read_text()
    lines = original.splitlines()
    for text, word in (
        ("\n".join(lines[:-1]), f"{len(lines) - 2} rows, features.json says {len(lines) - 1}"),
        ("", "column time_us"),
        (original.replace("stage", "phase", 1), "column stage is missing"),
        (original.replace(",1,,0,", ",1,,99,", 1), "stage 99"),
        (original.replace(",1,,0,", ",1,1,0,", 1), "role '1'"),
        (original.replace(",1,,0,", ",x,,0,", 1), "invalid literal"),
        ("\n".join([lines[0], "1,1"]), "line 2"),
    ):
        (run / "meta.csv").write_text(text)
        refused(run, "meta.csv", word)


def test_event_log(run: Path) -> None:
    original = (run / "events.jsonl").read_text()
    for text, word in (
        ("", "no `range` line"),
        (original.replace('"class": "PortScan"', '"class": "Tickling"', 1), "unknown class 'Tickling'"),
        (original.replace('"label": 4', '"label": 5', 1), "has number 4, the line says 5"),
        (original.replace('"class": "PortScan", "label": 4', '"class": "Benign", "label": 1', 1), "of class 'Benign'"),
        (original.replace('"version": 1', '"version": 2', 1), "version 2"),
        (original.replace('"split": "test"', '"split": "trial"', 1), "'trial'"),
        (original.replace('"event": "attack_end"', '"event": "earthquake"', 1), "unknown event 'earthquake'"),
        (original.replace('"ended_boot_ns": 9000000000', '"ended_boot_ns": 1', 1), "ends before it starts"),
        (original.replace('"targets"', '"aims"', 1), "'targets' is missing"),
        (original.replace('"network": "198.18.0.0/15"', '"network": "everywhere"', 1), "network"),
        ("{]\n" + original, "line 1: no JSON"),
    ):
        (run / "events.jsonl").write_text(text)
        refused(run, "events.jsonl", word)


def test_a_log_cut_off_in_its_last_line_is_read(run: Path) -> None:
    change(run / "events.jsonl", lambda text: text + '{"boot_ns":1,"eve')
    assert len(events.read(run / "events.jsonl").attacks) == 3


def test_recordings_of_different_tables(run: Path, recordings: Path) -> None:
    change(run / "features.json", lambda text: text.replace('"d"', '"e"'))
    with pytest.raises(TrainerError, match="another feature table"):
        prepare.prepare([recordings / "train-1", run], config.load())


def test_configuration(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    for text, word in (
        ("[train]\nsead = 2", "unknown key train.sead"),
        ("[trane]\nseed = 2", "unknown section 'trane'"),
        ("[train]\nseed = 'x'", "train.seed is str"),
        ("[train]\nseed = true", "train.seed is bool"),
        ("[train]\nfolds = 1", "at least 2"),
        ("[train]\ncandidates = ['svm']", "unknown 'svm'"),
        ("[train]\ncandidates = []", "is empty"),
        ("[prepare]\nanswers = 'maybe'", "one of benign, drop"),
        ("[features]\nexclude = [{match = ['a']}]", "`reason`"),
        ("[train", "own.toml: Expected"),
    ):
        path.write_text(text)
        with pytest.raises(TrainerError) as caught:
            config.load(path)
        assert word in str(caught.value), caught.value
    path.write_text("[prepare]\ngrace_s = 1")
    assert config.load(path).prepare["grace_s"] == 1.0


def test_only_benign_or_no_benign_rows(tmp_path: Path, settings: Config) -> None:
    benign = synthetic.Recording()
    attack = synthetic.Recording()
    attack.attack("scan", "PortScan", 0, 90)
    for i in range(40):
        benign.flow(i, synthetic.CLIENT, synthetic.SERVER, fwd_packets=float(i))
        attack.flow(i, synthetic.ATTACKER, synthetic.SERVER, fwd_packets=float(i))
    for made, word in ((benign, "no attack class"), (attack, "Benign is empty")):
        data = prepare.prepare([made.write(tmp_path / "run")], settings)
        with pytest.raises(TrainerError, match=word):
            train.train(data, settings, tmp_path / "out")


def test_a_class_with_too_few_rows_stays_empty(recordings: Path, settings: Config, tmp_path: Path) -> None:
    strict = replace(settings, train=settings.train | {"min_groups": 100})
    data = prepare.prepare([recordings / "train-1"], strict)
    about = train.train(data, strict, tmp_path)
    assert 4 in about["classes"]
    lax = replace(settings, train=settings.train | {"min_groups": 150})
    about = train.train(data, lax, tmp_path)
    assert "BruteForce" in about["empty_classes"]
    assert 6 not in about["classes"]


def test_no_input_is_left(data_folder: Path, settings: Config, tmp_path: Path) -> None:
    everything = (config.Exclusion(("*",), "a test"),)
    with pytest.raises(TrainerError, match="no column is left"):
        train.train(dataset.read(data_folder), replace(settings, exclude=everything), tmp_path)


def test_a_model_that_grew_too_large(data_folder: Path, settings: Config, tmp_path: Path) -> None:
    small = replace(settings, train=settings.train | {"max_model_bytes": 1000})
    with pytest.raises(TrainerError, match="no candidate fits into 1000 bytes"):
        train.train(dataset.read(data_folder), small, tmp_path)


def test_a_data_set_that_was_changed(data_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    with (folder / dataset.ARRAYS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(TrainerError, match="prepare it anew"):
        dataset.read(folder)
    (folder / dataset.ARRAYS).write_bytes(b"nothing")
    about = json.loads((folder / dataset.ABOUT).read_text())
    about["digest"] = dataset.sha256(folder / dataset.ARRAYS)
    (folder / dataset.ABOUT).write_text(json.dumps(about))
    with pytest.raises(TrainerError, match=r"dataset\.npz"):
        dataset.read(folder)


def test_a_model_that_was_changed(data_folder: Path, model_folder: Path, settings: Config, tmp_path: Path) -> None:
    folder, data = tmp_path / "model", dataset.read(data_folder)
    shutil.copytree(model_folder, folder)
    (folder / train.MODEL).write_bytes(b"x")
    with pytest.raises(TrainerError, match="train it anew"):
        evaluate.evaluate(data, folder, "test")
    shutil.copyfile(model_folder / train.MODEL, folder / train.MODEL)
    change(folder / train.ABOUT, lambda text: text.replace('"fwd_packets"', '"fwd_pockets"'))
    with pytest.raises(TrainerError, match="no column fwd_pockets"):
        evaluate.evaluate(data, folder, "test")
    shutil.copyfile(model_folder / train.ABOUT, folder / train.ABOUT)
    change(folder / evaluate.METRICS, lambda text: text.replace('"model_digest": "', '"model_digest": "x'))
    with pytest.raises(TrainerError, match="of another model"):
        export.export(data, folder, settings, tmp_path / "bundle", [])


def test_a_split_without_rows(recordings: Path, model_folder: Path, settings: Config, tmp_path: Path) -> None:
    only_train = prepare.prepare([recordings / "train-1"], settings)
    with pytest.raises(TrainerError, match="no rows of split `test`"):
        evaluate.evaluate(only_train, model_folder, "test")
    only_test = prepare.prepare([recordings / "test-2"], settings)
    with pytest.raises(TrainerError, match="no rows of split `train`"):
        train.train(only_test, settings, tmp_path)


def test_a_graph_that_is_none() -> None:
    with pytest.raises(TrainerError, match="ONNX Runtime refuses it"):
        graph.Session(b"not a graph", "x")


def test_derive_without_a_binary(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "rows.f32").unlink()
    arguments = ["all", "--recordings", str(run.parent), "-o", str(tmp_path / "out")]
    assert cli.main(arguments) == 1
    assert "give --ganglion" in capsys.readouterr().err
    assert cli.main([*arguments, "--ganglion", "/no/such/file"]) == 1
    assert "no records" in capsys.readouterr().err
    for damaged in ("records.gnl.zst", "records.gnl.xz"):
        for content in (b"not packed", lzma.compress(b"GNLR" * 100)[:-20]):
            (run / damaged).write_bytes(content)
            assert cli.main([*arguments, "--ganglion", "/no/such/file"]) == 1
            assert damaged in capsys.readouterr().err
        (run / damaged).unlink()
    (run / "records.gnl.xz").write_bytes(lzma.compress(b"GNLR"))
    assert cli.main([*arguments, "--ganglion", "/no/such/file"]) == 1
    assert "/no/such/file" in capsys.readouterr().err
    (run / "records.gnl").write_bytes(b"GNLR")
    assert cli.main([*arguments, "--ganglion", "/no/such/file"]) == 1
    assert "/no/such/file" in capsys.readouterr().err
    assert cli.main([*arguments, "--ganglion", "/bin/false"]) == 1
    assert "failed with 1" in capsys.readouterr().err


def test_no_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["all", "--recordings", str(tmp_path), "-o", "x"]) == 1
    assert "no recording below" in capsys.readouterr().err


def test_rows_are_checked_beyond_the_first_chunk(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "_CHUNK", 7)
    rows = np.fromfile(run / "rows.f32", dtype="<f4")
    rows[30 * len(FEATURES)] = np.inf
    rows.tofile(run / "rows.f32")
    refused(run, "row 30", "inf")
