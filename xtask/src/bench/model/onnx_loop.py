"""The peer of `ganglion model bench`: Python's onnxruntime on the same graph, features from Arrow columns.

    onnx_loop.py rows BUNDLE OUT          made-up rows of a bundle's inputs, as Parquet
    onnx_loop.py run BUNDLE DATA BATCH SECONDS THREADS
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 8_192


def rows(bundle: pathlib.Path, out: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    own = np.array(manifest["background"] + manifest["self_test"]["rows"], dtype=np.float32)
    random = np.random.default_rng(1)
    columns = {name: own[random.integers(0, len(own), ROWS), at] for at, name in enumerate(manifest["features"])}
    pq.write_table(pa.table(columns), out)


def run(bundle: pathlib.Path, data: str, batch: int, seconds: float, threads: int) -> None:
    names = json.loads((bundle / "manifest.json").read_text())["features"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), options, providers=["CPUExecutionProvider"])
    table = pq.read_table(data, columns=names).cast(pa.schema([(name, pa.float32()) for name in names]))
    columns = [table[name].combine_chunks().to_numpy() for name in names]
    features = np.empty((batch, len(names)), dtype=np.float32)
    wanted = ["probabilities", "anomaly"]

    def one(start: int) -> None:
        np.stack([column[start : start + batch] for column in columns], axis=1, out=features)
        _probabilities, anomaly = session.run(wanted, {"features": features})
        float(anomaly[0])

    starts = range(0, len(table) - batch + 1, batch)
    warm = time.perf_counter() + seconds / 10
    while time.perf_counter() < warm:
        one(0)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        one(starts[(done // batch) % len(starts)])
        done += batch
    print(json.dumps({"rows_per_s": done / (time.perf_counter() - began), "version": onnxruntime.__version__}))


if sys.argv[1] == "rows":
    rows(pathlib.Path(sys.argv[2]), sys.argv[3])
else:
    run(pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))
