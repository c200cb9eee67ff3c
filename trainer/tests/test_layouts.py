"""The other kinds of tables: small ones written here, and real ones where the shared data are."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganglion_trainer import dataset, tables
from ganglion_trainer.classes import NAMES
from ganglion_trainer.dataset import Dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.tables import labelmap, layout

SHARED = Path(os.environ.get("GANGLION_SHARED") or Path(__file__).parents[3] / "shared")
FLOWS = SHARED / "data" / "flows"
real = pytest.mark.skipif(not FLOWS.is_dir(), reason=f"no shared data: {FLOWS} is absent (GANGLION_SHARED names it)")


def made(path: Path, **how: Any) -> Dataset:  # noqa: ANN401
    """What the file becomes, read back."""
    out = path.parent / f"{path.name}.data"
    tables.prepare(tables.Request([path], **how), out)
    return dataset.read(out)


def column(of: Dataset, name: str) -> list[float]:
    return of.arrays.x[:, of.features.index(name)].tolist()


@pytest.mark.parametrize("name", layout.NAMES)
def test_every_layout_keeps_addresses_ports_and_times_out(name: str) -> None:
    of = layout.load(name)
    beside = {layout.key(spelling) for what in of.meta.values() for spelling in what}
    inputs = {layout.key(spelling) for spellings in of.spellings().values() for spelling in spellings}
    # The protocol is both: what flows are told apart by, and an input.
    assert inputs & beside <= {"protocol", "proto"}
    assert not inputs & of.ignored
    assert not [name for name in inputs if name.split()[-1] in ("addr", "ip", "port", "timestamp", "uid", "label")]


@pytest.mark.parametrize("name", layout.NAMES)
def test_the_committed_labels_are_classes(name: str) -> None:
    known = labelmap.load(name, None)
    for number, text in enumerate(NAMES):
        assert known.find(text.upper()) == number
    assert known.find("Tickling") is None


ZEEK = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\
\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\
\ttunnel_parents   label   detailed-label
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount\
\tstring\tcount\tcount\tcount\tcount\tset[string]   string   string
1545403824.181240\tC1\t198.18.0.1\t41040\t198.18.0.2\t80\ttcp\t-\t-\t-\t-\tS0\t-\t-\t0\tS\t1\t60\t0\t0\t\
(empty)   Benign   -
1545403825.5\tC2\t198.18.0.1\t41041\t198.18.0.2\t80\ttcp\thttp\t1.5\t100\t2000\tSF\t-\t-\t0\tShADadFf\t6\t400\t5\t2300\t\
-   Malicious   C&C-HeartBeat
1545403826.5\tC3\t198.18.0.3\t5\t198.18.0.2\t80\ttcp\t-
1545403827\tC4\t198.18.0.3\t5353\t198.18.0.2\t53\tudp\tdns\t0.1\t40\t80\tSF\t-\t-\t0\tDd\t1\t68\t1\t108\t\
(empty)   Malicious   PartOfAHorizontalPortScan
#close\t2018-12-21-15-50-27
"""


def test_a_log_of_zeek(tmp_path: Path) -> None:
    path = tmp_path / "conn.log.labeled"
    path.write_text(ZEEK)
    data = made(path)
    assert data.profile == "zeek-conn"
    assert [NAMES[label] for label in data.arrays.y] == ["Benign", "Bot", "PortScan"]
    assert sorted(data.labels) == ["Benign", "C&C-HeartBeat", "PartOfAHorizontalPortScan"]
    assert column(data, "duration") == [0.0, 1.5, pytest.approx(0.1)]
    assert column(data, "service=http") == [0.0, 1.0, 0.0]
    assert column(data, "service=-") == [1.0, 0.0, 0.0]
    assert column(data, "conn_state=SF") == [0.0, 1.0, 1.0]
    assert column(data, "history D") == [0.0, 1.0, 1.0]
    assert column(data, "history S") == [1.0, 1.0, 0.0]
    assert data.arrays.time_us.tolist() == [1545403824181240, 1545403825500000, 1545403827000000]
    assert data.report["files"][0]["dropped"] == {"a line with another number of cells": 1}
    # A label of its own column stands in where the detailed one is unset.
    plain = tmp_path / "conn.log"
    plain.write_text(ZEEK.replace("   label   detailed-label", "").replace("(empty)   Benign   -", "-"))
    with pytest.raises(TrainerError, match="no column of labels"):
        made(plain)
    plain.write_text("#separator \\x09\n#path\tconn\n1\t2\n")
    with pytest.raises(TrainerError, match="without a line of #fields"):
        made(plain)


def test_binetflow(tmp_path: Path) -> None:
    path = tmp_path / "capture.binetflow"
    path.write_text(
        "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label\n"
        "2011/08/16 10:01:46.972101,3599.98,tcp,198.18.0.1,49213,  <?>,198.18.0.2,18250,A_PA,0,0,14,894,106,"
        "flow=From-Normal-V47-Grill\n"
        "2011/08/16 10:01:47,1.5,tcp,198.18.0.9,49214,   ->,198.18.0.2,80,FSPA_FSRA,0,,10,1000,600,"
        "flow=From-Botnet-V47-1-TCP-CC6\n"
        "2011/08/16 10:01:48,0,icmp,198.18.0.9,0x0008,   ->,198.18.0.2,0x1234,ECO,,,1,98,98,flow=From-Botnet-V47\n"
        "2011/08/16 10:01:48,0,udp,198.18.0.7,53,  <->,198.18.0.2,53,CON,0,0,2,98,40,flow=Background-UDP\n"
    )
    data = made(path)
    assert data.profile == "ctu-13"
    assert data.arrays.y.tolist() == [1, 5, 5]
    assert column(data, "dTos") == [0.0, 0.0, 0.0]
    assert column(data, "Dir=->") == [0.0, 1.0, 1.0]
    assert column(data, "State=ECO") == [0.0, 0.0, 1.0]
    assert column(data, "Flags forward S") == [0.0, 1.0, 0.0]
    assert column(data, "Flags backward R") == [0.0, 1.0, 0.0]
    assert column(data, "Flags backward P") == [1.0, 0.0, 0.0]
    assert data.report["files"][0]["dropped"] == {"label 'flow=Background-UDP'": 1}
    assert len(np.unique(data.arrays.group)) == 3


def netflow(names: list[str], attacks: list[str]) -> dict[str, list[Any]]:
    rng = np.random.default_rng(1)
    table: dict[str, list[Any]] = {
        "IPV4_SRC_ADDR": [f"198.18.0.{n}" for n in range(len(attacks))],
        "L4_SRC_PORT": [1000] * len(attacks),
        "IPV4_DST_ADDR": ["198.18.1.1"] * len(attacks),
        "L4_DST_PORT": [80] * len(attacks),
    }
    table |= {name: rng.integers(0, 99, len(attacks)).tolist() for name in names}
    return table | {"Label": [int(attack != "Benign") for attack in attacks], "Attack": attacks}


@pytest.mark.parametrize("name", ["nf-v1", "nf-v2"])
def test_netflow_editions(tmp_path: Path, name: str) -> None:
    attacks = ["Benign", "Reconnaissance", "ddos", "xss", "DoS attacks-Hulk", "scanning", "Bot", "Exploits"]
    table = netflow(list(layout.load(name).numbers), attacks)
    if name == "nf-v2":
        table["DNS_QUERY_ID"] = [7] * len(attacks)
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(table)
        rows.writerows(zip(*table.values(), strict=True))
    data = made(path)
    assert data.profile == name
    assert data.features == list(layout.load(name).numbers)
    assert [NAMES[label] for label in data.arrays.y] == [
        "Benign", "PortScan", "DDoS", "Web", "DoS", "PortScan", "Bot", "Infiltration",
    ]  # fmt: skip


def test_tables_without_a_header(tmp_path: Path) -> None:
    kdd = tmp_path / "KDDTrain+.txt"
    first = "0,tcp,private,S0,0,0" + ",0" * 35
    kdd.write_text(f"{first},neptune,19\n{first.replace('tcp', 'udp')},normal,21\n")
    data = made(kdd)
    assert data.profile == "nsl-kdd"
    assert data.arrays.y.tolist() == [3, 1]
    assert column(data, "flag=S0") == [1.0, 1.0]
    raw = tmp_path / "UNSW-NB15_1.csv"
    row = "59.166.0.0,1390,149.171.126.6,53,udp,CON,0.001055,132,164,31,29,0,0,dns,500473.9,621800.9,2,2,0,0,0,0,66,82,"
    row += "0,0,0,0,1421927414,1421927414,0.017,0.013,0,0,0,0,0, ,0, ,3,7,1,3,1,1,1,"
    raw.write_text(f"{row},0\n{row.replace('1390', '0x000b')} Reconnaissance ,1\n")
    data = made(raw)
    assert data.profile == "unsw-nb15"
    assert data.arrays.y.tolist() == [1, 4]
    assert column(data, "ct_ftp_cmd") == [0.0, 0.0]
    assert data.arrays.time_us.tolist() == [1421927414_000_000] * 2


def test_ganglions_own_rows_with_snapshots(tmp_path: Path) -> None:
    base = {name: [1.0, 2.0, 3.0] for name in layout.load("ganglion").numbers}
    table = {
        "flow_id": ["a", "a", "b"],
        "timestamp": pa.array([1, 2, 3], pa.timestamp("us", tz="UTC")),
        "initiator": ["198.18.0.1", "198.18.0.1", "2001:2::1"],
        "initiator_port": [1000, 1000, 1001],
        "responder": ["198.18.0.2", "198.18.0.2", "2001:2::2"],
        "responder_port": [80, 80, 80],
        "protocol": [6, 6, 6],
        "stage": ["packets-8", "end", "age-1s"],
        **base,
        "src_1s_peers": [1.0, 2.0, 3.0],
        "Label": ["BENIGN", "BENIGN", "DDoS"],
    }
    path = tmp_path / "flows.parquet"
    pq.write_table(pa.table(table), path)
    data = made(path)
    assert data.profile == "ganglion"
    assert data.features == [*base, "src_1s_peers"]
    assert data.arrays.stage.tolist() == [1, 0, 4]
    assert data.arrays.group[0] == data.arrays.group[1] != data.arrays.group[2]
    pq.write_table(pa.table(table | {"stage": ["end", "end", "sometime"]}), path)
    with pytest.raises(TrainerError, match="'stage' holds 'sometime'"):
        made(path)


# File, layout, rows in, rows out, columns, classes.
REAL: list[tuple[str, dict[str, str], str, int, int, int, set[str]]] = [
    (
        "cicids2017_improved_sample", {}, "cicflowmeter", 39393, 39393, 82,
        {"Benign", "DDoS", "DoS", "PortScan", "Bot", "BruteForce", "Web", "Heartbleed", "Infiltration"},
    ),
    (
        "cicids2017_original_7class_sample", {}, "cicflowmeter", 7749, 7742, 76,
        {"Benign", "DoS", "PortScan", "Bot", "BruteForce", "Web", "Infiltration"},
    ),
    ("cicflowmeter_lab_unlabelled", {"label": "Benign"}, "cicflowmeter", 3304, 3304, 77, {"Benign"}),
    (
        "unsw_nb15_training_set", {}, "unsw-nb15", 57607, 39010, 74,
        {"Unknown", "Benign", "DoS", "PortScan", "Infiltration"},
    ),
    (
        "unsw_nb15_raw_with_ips", {}, "unsw-nb15", 2381, 2360, 73,
        {"Unknown", "Benign", "DoS", "PortScan", "Infiltration"},
    ),
    (
        "nsl_kdd_train_20percent", {}, "nsl-kdd", 17636, 17434, 54,
        {"Benign", "DoS", "PortScan", "BruteForce", "Web", "Infiltration"},
    ),
    (
        "nsl_kdd_test_plus", {}, "nsl-kdd", 15779, 15650, 54,
        {"Benign", "DoS", "PortScan", "BruteForce", "Web", "Infiltration"},
    ),
    ("ctu13_capture20110816_head", {}, "ctu-13", 12320, 106, 50, {"Benign", "Bot"}),
    ("stratosphere_test5_mixed", {}, "ctu-13", 4709, 4395, 50, {"Benign", "Bot"}),
    ("stratosphere_malware_sality", {"label": "Bot"}, "ctu-13", 704, 704, 50, {"Bot"}),
    ("stratosphere_normal_2013_10_21", {"label": "Benign"}, "ctu-13", 1679, 1679, 49, {"Benign"}),
    ("iot23_ctu_34_1_mirai", {}, "zeek-conn", 16201, 16201, 64, {"Benign", "DDoS", "PortScan", "Bot"}),
    ("ctu_sme11_remcos_conn", {}, "zeek-conn", 536, 536, 64, {"Unknown", "Benign", "Bot"}),
    ("ics_zeek_conn_unlabelled", {"label": "Benign"}, "zeek-conn", 10566, 10501, 64, {"Benign"}),
]  # fmt: skip


@real
@pytest.mark.parametrize(("name", "how", "profile", "rows", "used", "columns", "found"), REAL)
def test_real_tables(
    name: str, how: dict[str, str], profile: str, rows: int, used: int, columns: int, found: set[str], tmp_path: Path
) -> None:
    tables.prepare(tables.Request([FLOWS / f"{name}.parquet"], **how), tmp_path)  # type: ignore[arg-type]
    data = dataset.read(tmp_path)
    assert (data.profile, data.report["read"], len(data.arrays.y), len(data.features)) == (
        profile, rows, used, columns,
    )  # fmt: skip
    assert set(data.report["classes"]) == found


@real
def test_one_meter_in_three_spellings(tmp_path: Path) -> None:
    folder = SHARED / "data" / "pcap" / "parity"
    names = ("out_test_copy", "outtest", "daily_test_pcap")
    same = [folder / f"cicflowmeter-test.{name}.csv.gz" for name in names]
    read = []
    for path in same:
        tables.prepare(tables.Request([path], label="Benign"), tmp_path)
        read.append(dataset.read(tmp_path))
    for other in read[1:]:
        assert other.features == read[0].features
        assert len(other.arrays.y) == 96
        for name in ("x", "group", "host", "time_us"):
            np.testing.assert_array_equal(getattr(other.arrays, name), getattr(read[0].arrays, name))
    assert len(np.unique(read[0].arrays.group)) == 48


@real
def test_long_flows_get_their_header_bytes_back(tmp_path: Path) -> None:
    path = FLOWS / "cicids2017_improved_sample.parquet"
    data = tables.prepare(tables.Request([path]), tmp_path)
    assert data.report["files"][0]["mended_headers"] == {"Bwd Header Length": 7, "Fwd Header Length": 5}
    table = pq.read_table(path)
    for name, over in data_headers().items():
        raw = table[name].to_numpy().astype(np.float64)
        packets, protocol = table[over].to_numpy(), table["Protocol"].to_numpy()
        mended = np.array(column(data, name))
        np.testing.assert_array_equal(mended[raw >= 0], raw[raw >= 0].astype(np.float32))
        least = packets * np.where(protocol == 6, 20, 8)
        assert (mended[raw < 0] >= least[raw < 0]).all()
        assert ((mended - raw)[raw < 0] % 65536 == 0).all()


def data_headers() -> dict[str, str]:
    return layout.load("cicflowmeter").headers
