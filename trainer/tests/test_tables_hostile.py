"""Bad tables get one clear line, and large ones little memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tabled

from ganglion_trainer import cli, dataset, splits, tables
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.tables import clean, collect, source


def made(path: Path, **how: Any) -> Dataset:  # noqa: ANN401
    return tables.prepare(tables.Request([path], **how), path.parent / "data")


def refused(path: Path, *parts: str, **how: Any) -> None:  # noqa: ANN401
    with pytest.raises(TrainerError) as caught:
        made(path, **how)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert not list((path.parent / "data").glob(".rows-*")), "spooled rows were left behind"


def test_missing_and_renamed_columns(tmp_path: Path) -> None:
    table = tabled.rows(5)
    del table["Flow IAT Max"]
    for name in ("t.csv", "t.parquet"):
        refused(tabled.write(tmp_path / name, table), name, "columns are missing: 'Flow IAT Max'")
        renamed = table | {"Flow IAT Maximum": [1.0] * 5}
        refused(tabled.write(tmp_path / name, renamed), "'Flow IAT Max' (is it 'Flow IAT Maximum'?)")
        few = {feature: table[feature] for feature in ("Flow Duration", "Flow IAT Min", "Label")}
        refused(tabled.write(tmp_path / name, few), "no known table", "say which with --format")
        refused(tabled.write(tmp_path / name, few), "and 69 more", layout="cicflowmeter")
        unlabelled = {feature: values for feature, values in tabled.rows(5).items() if feature != "Label"}
        refused(tabled.write(tmp_path / name, unlabelled), "no column of labels (Label", "--label")
        refused(tabled.write(tmp_path / name, tabled.rows(5)), "no column 'Klass'", label_column="Klass")
        refused(tmp_path / name, "is an input", label_column="Flow Duration")
        without = {feature: values for feature, values in tabled.rows(5).items() if feature != "Dst Port"}
        refused(tabled.write(tmp_path / name, without), "--with-ports", with_ports=True)


def test_columns_of_another_type(tmp_path: Path) -> None:
    table = tabled.rows(5)
    text = table | {"Flow Duration": ["long", "short", "long", "short", "1"]}
    for name in ("t.csv", "t.parquet"):
        refused(tabled.write(tmp_path / name, text), "'Flow Duration' holds 'long'", "numbers are due")
    refused(
        tabled.write(tmp_path / "t.parquet", table | {"Flow Duration": [[1.0]] * 5}),
        "'Flow Duration' is of type list", "numbers are due",
    )  # fmt: skip
    refused(tabled.write(tmp_path / "t.parquet", table | {"Label": [{"a": 1}] * 5}), "'Label' is of type struct")
    flags = tabled.write(tmp_path / "t.parquet", table | {"FIN Flag Count": [True, False, True, False, True]})
    data = made(flags)
    assert data.arrays.x[:, data.features.index("FIN Flag Count")].tolist() == [1.0, 0.0, 1.0, 0.0, 1.0]


def test_single_cells_cost_single_rows(tmp_path: Path) -> None:
    table = tabled.rows(8)
    for row, cell in enumerate(["NaN", "Infinity", "-inf", "", "oops", "1e300"]):
        table["Flow Bytes/s"][row] = cell
    path = tabled.write(tmp_path / "t.csv", table)
    file = made(path).report["files"][0]
    assert (file["rows"], file["kept"]) == (8, 2)
    assert file["dropped"] == {"NaN or infinity": 5, "a cell is no number": 1}
    assert file["nan"] == {"Flow Bytes/s": 2}
    assert file["infinite"] == {"Flow Bytes/s": 3}
    assert file["unreadable"] == {"Flow Bytes/s": 1}
    data = made(path, nonfinite="zero")
    assert len(data.arrays.y) == 7
    assert data.arrays.x[:5, data.features.index("Flow Bytes/s")].tolist() == [0.0] * 5
    assert np.isfinite(dataset.read(tmp_path / "data").arrays.x).all()


def test_duplicates_contradictions_and_constant_columns(tmp_path: Path) -> None:
    table = {name: values * 2 for name, values in tabled.rows(6).items()}
    table["Idle Max"], table["Protocol"] = [3.0] * 12, [6, 17] * 6
    table["Label"] = ["BENIGN"] * 12
    data = made(tabled.write(tmp_path / "t.csv", table))
    assert data.report["duplicates"] == 6
    assert data.report["constant_columns"] == ["Idle Max"]
    table["Label"][6] = "DDoS"
    table["Src Port"][7] = 9
    report = made(tabled.write(tmp_path / "t.csv", table)).report
    assert (report["duplicates"], report["equal_features"], report["contradicting"]) == (4, 2, 2)


def test_a_header_in_the_midst_and_lines_cut(tmp_path: Path) -> None:
    path = tabled.write(tmp_path / "t.csv", tabled.rows(4))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[0], "1,2,3", *lines[3:], lines[4][:60]]))
    file = made(path).report["files"][0]
    assert file["kept"] == 4
    assert file["dropped"] == {"a line with another number of cells": 2, "the header again": 1}


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"")
    refused(path, "t.csv", "empty")
    refused(tmp_path / "absent.csv", "absent.csv", "No such file")
    refused(tmp_path, "Is a directory")
    for content in (b"\x00\x01\x02\x03" * 50_000, b"a,b\x00,c\n1,2,3\n"):
        path.write_bytes(content)
        refused(path, "t.csv")
    path.write_text("one column\n1\n")
    refused(path, "no header of a comma-separated table")
    tabled.write(path, tabled.rows(3))
    path.write_text(path.read_text().splitlines()[0] + "\n")
    refused(path, "no rows")
    (tmp_path / "t.csv.gz").write_bytes(b"\x1f\x8b\x08" + b"no gzip" * 20)
    refused(tmp_path / "t.csv.gz", "t.csv.gz")


def test_parquet_that_is_cut(tmp_path: Path) -> None:
    path = tabled.write(tmp_path / "t.parquet", tabled.rows(500))
    whole = path.read_bytes()
    for size in (4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path, "t.parquet", "no readable Parquet")
    spoiled = bytearray(whole)
    spoiled[2000:4000] = bytes(2000)
    path.write_bytes(spoiled)
    refused(path, "t.parquet")


def test_one_row_and_empty_classes(tmp_path: Path) -> None:
    for name in ("one.csv", "one.parquet"):
        data = made(tabled.write(tmp_path / name, tabled.rows(1)))
        assert len(data.arrays.y) == 1
        assert len(dataset.read(tmp_path / "data").arrays.y) == 1
        with pytest.raises(TrainerError, match="1 rows do not make 5 folds"):
            splits.folds(data.arrays, "stratified")
    table = tabled.rows(3) | {"Label": ["DoS Hulk - Attempted"] * 3}
    refused(tabled.write(tmp_path / "t.csv", table), "no rows are left: 3 label 'DoS Hulk - Attempted'")
    benign = made(tabled.write(tmp_path / "t.csv", tabled.rows(3) | {"Label": ["BENIGN"] * 3}))
    assert list(benign.report["classes"]) == ["Benign"]


def test_maps_of_labels_that_are_none(tmp_path: Path) -> None:
    path, own = tabled.write(tmp_path / "t.csv", tabled.rows(3)), tmp_path / "m.toml"
    for text, word in (
        ("'a' = 'Tickling'", "unknown class 'Tickling'"),
        ("'a' = 3", "texts are due on both sides"),
        ("'a'", "m.toml"),
    ):
        own.write_text(text)
        refused(path, "m.toml", word, label_map=own)
    own = tmp_path / "m.yaml"
    for text, word in (("- a", "a mapping"), ("a: [", "m.yaml"), ("a: !!python/object:os.system {}", "m.yaml")):
        own.write_text(text)
        refused(path, "m.yaml", word, label_map=own)
    refused(path, "No such file", label_map=tmp_path / "absent.toml")


def test_every_unknown_label_is_listed_up_to_a_limit(tmp_path: Path) -> None:
    table = tabled.rows(60) | {"Label": [f"Odd {n}" for n in range(60)]}
    refused(tabled.write(tmp_path / "t.csv", table), "'Odd 0' (1 rows)", "'Odd 19'", "and 40 more")


def test_rows_do_not_depend_on_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tabled.rows(300)
    table["Flow Bytes/s"][250] = "oops"
    whole, small = [], []
    for name in ("t.csv", "t.parquet"):
        path = tabled.write(tmp_path / name, table | ({} if name == "t.csv" else {"Flow Bytes/s": [1.0] * 300}))
        whole.append(made(path).arrays)
        monkeypatch.setattr(source, "BATCH_ROWS", 7)
        monkeypatch.setattr(source, "BLOCK_BYTES", 4096)
        small.append(made(path).arrays)
        monkeypatch.undo()
    for one, other in zip(whole, small, strict=True):
        for name in ("x", "y", "group", "host", "time_us", "label", "run"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert [len(one.y) for one in whole] == [299, 300]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    path = tabled.write(tmp_path / "t.csv", tabled.rows(50))
    for out in ("a", "b"):
        assert cli.main(["prepare", "--table", str(path), "--capture-by", "day", "-o", str(tmp_path / out)]) == 0
    assert (tmp_path / "a" / "dataset.npz").read_bytes() == (tmp_path / "b" / "dataset.npz").read_bytes()
    about = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert [run["name"] for run in about["runs"]] == [f"t.csv, 2017-07-0{day}" for day in range(3, 8)]
    assert sum(run["used"] for run in about["runs"]) == 50


def test_classes_are_thinned_out_by_whole_flows(tmp_path: Path) -> None:
    path = tabled.write(tmp_path / "t.csv", tabled.rows(400))
    data = made(path, max_rows_per_class=20)
    assert np.unique(data.arrays.y, return_counts=True)[1].tolist() == [20, 20, 20]
    assert data.report["thinned"] == 340
    again = made(path, max_rows_per_class=20)
    np.testing.assert_array_equal(data.arrays.x, again.arrays.x)
    refused(path, "at least 1", max_rows_per_class=0)


def test_header_sums_that_wrapped_around() -> None:
    columns = {
        "sum": np.array([100, -20600, -608, -1], dtype=np.float32),
        "packets": np.array([5, 5523, 2804, 0], dtype=np.float32),
        "Protocol": np.array([6, 6, 17, 0], dtype=np.float32),
    }
    tally = collect.Tally()
    clean.mend_headers(columns, {"sum": "packets", "absent": "packets"}, "Protocol", tally)
    assert columns["sum"].tolist() == [100, -20600 + 2 * 65536, -608 + 65536, 65535]
    assert tally.mended_headers == {"sum": 3}


def test_a_large_table_passes_through_little_memory(tmp_path: Path) -> None:
    rows, step = 1_000_000, 50_000
    path = tmp_path / "large.parquet"
    base = tabled.rows(step)
    fixed = {name: pa.array(base[name]) for name in tabled.CIC.numbers}
    writer = None
    for start in range(0, rows, step):
        numbers = np.arange(start, start + step)
        own = {"Flow Duration": pa.array(numbers), "Src Port": pa.array(numbers % 60_000), "Label": base["Label"]}
        part = pa.table({**fixed, **own})
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()
    # In a process of its own: memory that this one took before does not count.
    script = (
        "import resource, sys; from pathlib import Path; from ganglion_trainer import tables; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "made = tables.prepare(tables.Request([Path(sys.argv[1])]), Path(sys.argv[2])); "
        "print(len(made.arrays.y), before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, before, peak = (int(word) for word in done.stdout.split())
    assert kept == rows
    matrix = rows * len(tabled.CIC.numbers) * 4
    assert (tmp_path / "data" / dataset.ARRAYS).stat().st_size > matrix
    # Less than the rows alone would take; measured: 205 MB of 328 MB.
    assert (peak - before) * 1024 < matrix, f"{before} kB before, {peak} kB at the peak"
