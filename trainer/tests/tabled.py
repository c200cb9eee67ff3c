"""Small CICFlowMeter tables in all its spellings."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganglion_trainer.tables import layout

CIC = layout.load("cicflowmeter")
SPELLINGS = ("corrected", "2018", "2017")


def spelled(feature: str, spelling: str) -> str:
    """A column's name in one of the spellings."""
    others = CIC.numbers[feature]
    if spelling == "corrected" or not others:
        return feature
    return others[0] if spelling == "2018" else others[-1]


def rows(count: int, seed: int = 1) -> dict[str, list[Any]]:
    """Columns by their canonical names: flows of three classes, some 5-tuples more than once."""
    rng = np.random.default_rng(seed)
    table: dict[str, list[Any]] = {
        "Src IP": [f"198.18.0.{n}" for n in rng.integers(1, 20, count)],
        "Src Port": rng.integers(1024, 1100, count).tolist(),
        "Dst IP": ["198.18.1.1"] * count,
        "Dst Port": rng.choice([22, 80, 443], count).tolist(),
        "Timestamp": [f"2017-07-0{3 + n % 5} 12:00:{n % 60:02}.{n:06}" for n in range(count)],
    }
    for place, feature in enumerate(CIC.numbers):
        table[feature] = (rng.integers(0, 1000, count) + place / 4).tolist()
    table["Protocol"] = rng.choice([6, 17], count).tolist()
    table["Label"] = rng.choice(["BENIGN", "DoS Hulk", "PortScan"], count).tolist()
    return table


def write(path: Path, table: dict[str, list[Any]], spelling: str = "corrected") -> Path:
    """As Parquet or CSV, by the file's name."""
    renamed = {spelled(name, spelling) if name in CIC.numbers else name: values for name, values in table.items()}
    if path.suffix == ".parquet":
        pq.write_table(pa.table(renamed), path)
        return path
    lines = [",".join(f" {name}" if spelling == "2017" else name for name in renamed)]
    lines += [",".join(str(cell) for cell in row) for row in zip(*renamed.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path
