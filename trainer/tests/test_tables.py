"""Tables of CICFlowMeter become a data set."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tabled

from ganglion_trainer import cli, dataset, tables
from ganglion_trainer.errors import TrainerError

ADDRESSES = ("Src IP", "Src Port", "Dst IP", "Dst Port", "Timestamp", "Label")


def test_all_spellings_and_containers_give_the_same_rows(tmp_path: Path) -> None:
    table = tabled.rows(200)
    made = []
    for spelling in tabled.SPELLINGS:
        for name in ("t.csv", "t.parquet"):
            path = tabled.write(tmp_path / f"{spelling}.{name}", table, spelling)
            made.append(tables.prepare(tables.Request([path]), tmp_path / "data"))
            made[-1] = dataset.read(tmp_path / "data")
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "2017.t.csv").read_bytes()))
    tables.prepare(tables.Request([packed]), tmp_path / "data")
    made.append(dataset.read(tmp_path / "data"))
    first = made[0]
    assert first.features == list(tabled.CIC.numbers)
    expected = np.array([table[feature] for feature in first.features], dtype=np.float32).T
    for other in made:
        assert other.features == first.features
        assert other.profile == "cicflowmeter"
        np.testing.assert_array_equal(other.arrays.x, expected)
        for name in ("y", "group", "host", "time_us", "label"):
            np.testing.assert_array_equal(getattr(other.arrays, name), getattr(first.arrays, name))
    assert [first.labels[number] for number in first.arrays.label] == table["Label"]
    classes = {"BENIGN": 1, "DoS Hulk": 3, "PortScan": 4}
    assert first.arrays.y.tolist() == [classes[label] for label in table["Label"]]


def test_nothing_beside_the_flow_is_an_input(tmp_path: Path) -> None:
    path = tabled.write(tmp_path / "t.parquet", tabled.rows(20) | {"id": list(range(20)), "Flow ID": ["x"] * 20})
    made = tables.prepare(tables.Request([path]), tmp_path / "data")
    assert not {*ADDRESSES, "id", "Flow ID", "Attempted Category"} & set(made.features)
    with_ports = tables.prepare(tables.Request([path], with_ports=True), tmp_path / "ports")
    assert with_ports.features == [*made.features, "Dst Port"]
    assert set(np.unique(with_ports.arrays.x[:, -1])) <= {22.0, 80.0, 443.0}


def test_a_flow_and_its_way_back_are_one_group(tmp_path: Path) -> None:
    table = tabled.rows(4)
    table["Src IP"] = ["198.18.0.1", "198.18.1.1", "198.18.0.1", "198.18.0.2"]
    table["Dst IP"] = ["198.18.1.1", "198.18.0.1", "198.18.1.1", "198.18.1.1"]
    table["Src Port"], table["Dst Port"] = [4000, 80, 4001, 4000], [80, 4000, 80, 80]
    table["Protocol"] = [6, 6, 6, 6]
    made = tables.prepare(tables.Request([tabled.write(tmp_path / "t.csv", table)]), tmp_path / "data")
    group = made.arrays.group
    assert group[0] == group[1]
    assert len(np.unique(group)) == 3
    assert made.arrays.host[0] == made.arrays.host[2] != made.arrays.host[1]


def test_times_in_all_spellings(tmp_path: Path) -> None:
    spelled = ["2017-07-06 16:25:41.298564", "06/07/2017 16:25:41", "6/7/2017 04:25 PM", "2017/07/06T16:25:41Z"]
    spelled += ["1499358341.298564", "1499358341298", "12/31/2017 1:02", "yesterday", ""]
    table = tabled.rows(len(spelled)) | {"Timestamp": spelled}
    made = tables.prepare(tables.Request([tabled.write(tmp_path / "t.csv", table)]), tmp_path / "data")
    day = 1_499_358_300_000_000
    assert made.arrays.time_us.tolist() == [
        day + 41_298_564, day + 41_000_000, day, day + 41_000_000, day + 41_298_564, day + 41_298_000,
        1_514_682_120_000_000, 0, 0,
    ]  # fmt: skip
    assert made.report["files"][0]["times_unknown"] == 2


def test_labels_that_nobody_knows_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tabled.rows(6) | {"Label": ["Tickling", "BENIGN", "Tickling", "Poking", "benign ", "DoS Hulk - Attempted"]}
    path, out = tabled.write(tmp_path / "t.csv", table), tmp_path / "data"
    assert cli.main(["prepare", "--table", str(path), "-o", str(out)]) == 1
    said = capsys.readouterr().err
    assert "'Tickling' (2 rows), 'Poking' (1 rows)" in said
    assert "--label-map" in said
    for name, text in (
        ("m.toml", "'tickling' = 'DoS'\n'P*' = 'drop'\n"),
        ("m.yaml", "tickling: DoS\n'P*': drop\n"),
    ):
        (tmp_path / name).write_text(text)
        assert cli.main(["prepare", "--table", str(path), "--label-map", str(tmp_path / name), "-o", str(out)]) == 0
        made = dataset.read(out)
        assert made.arrays.y.tolist() == [3, 1, 3, 1]
        dropped = {"label 'DoS Hulk - Attempted'": 1, "label 'Poking'": 1}
        assert made.report["files"][0]["dropped"] == dropped


def test_the_dash_of_2017(tmp_path: Path) -> None:
    table = tabled.rows(2) | {"Label": ["Web Attack \x96 XSS", "Web Attack – XSS"]}
    path = tabled.write(tmp_path / "t.csv", table)
    raw = path.read_bytes().replace("\x96".encode(), b"\x96")
    path.write_bytes(raw)
    assert tables.prepare(tables.Request([path]), tmp_path / "data").arrays.y.tolist() == [7, 7]


def test_files_of_two_meters_do_not_mix(tmp_path: Path) -> None:
    table = tabled.rows(5)
    one = tabled.write(tmp_path / "one.csv", table)
    del table["ICMP Code"]
    other = tabled.write(tmp_path / "other.csv", table)
    with pytest.raises(TrainerError, match=r"other\.csv: other columns than .*one\.csv \(ICMP Code\)"):
        tables.prepare(tables.Request([one, other]), tmp_path / "data")
    made = tables.prepare(tables.Request([other]), tmp_path / "data")
    assert made.report["files"][0]["columns_missing"] == ["ICMP Code"]
