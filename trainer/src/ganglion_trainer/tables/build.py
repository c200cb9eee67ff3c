"""From spooled rows to a data set on disk, with a report of what was left out."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer import classes, dataset
from ganglion_trainer.dataset import Arrays, Dataset
from ganglion_trainer.derived import F32, FLOW, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import release
from ganglion_trainer.progress import say
from ganglion_trainer.tables import clean, labelmap
from ganglion_trainer.tables.collect import Collector, Request
from ganglion_trainer.tables.spool import Spool, compact

_CHUNK = 65_536
_NO_ROLE = 255
_FOUND = (
    ("dropped", "dropped"),
    ("NaN", "nan"),
    ("infinite", "infinite"),
    ("no number", "unreadable"),
    ("header sums mended", "mended_headers"),
)


def prepare(request: Request, out: Path) -> Dataset:
    """Reads, labels and cleans the tables, and writes the data set."""
    if not request.tables:
        raise TrainerError("no tables given")
    if request.max_rows_per_class is not None and request.max_rows_per_class < 1:
        raise TrainerError(f"--max-rows-per-class {request.max_rows_per_class}: at least 1 is due")
    with Spool(out) as spool:
        collector = Collector(request, spool)
        for split, paths in (("train", request.tables), ("test", request.test_tables)):
            for path in paths:
                collector.file(path, split)
        if collector.unknown:
            raise labelmap.complain(collector.unknown, collector.layout().name)
        if not spool.rows:
            raise TrainerError(f"no rows are left: {_reasons(collector)}; tables without labels take one from --label")
        made = _finish(collector, spool)
        dataset.write(made, out)
        return made


def _reasons(collector: Collector) -> str:
    reasons: Counter[str] = Counter()
    for file in collector.files:
        reasons.update(file["dropped"])
    return ", ".join(f"{count} {why}" for why, count in reasons.items()) or "the tables hold none"


def _finish(collector: Collector, spool: Spool) -> Dataset:
    features = collector.features()
    y = np.asarray(spool.column("y"), dtype=np.int64)
    group, run = spool.column("group"), spool.column("run")
    keep, found = _sift(collector, spool, y)
    say(f"{spool.rows} rows, {int(keep.sum())} kept")
    x = compact(spool.column("x", len(features)), keep)
    lowest, highest = _range(x)
    constant = [name for name, low, high in zip(features, lowest, highest, strict=True) if low == high]
    rows = int(keep.sum())
    label = spool.column("label")[keep]
    arrays = Arrays(
        x=x,
        y=y[keep].astype(np.uint8),
        kind=np.full(rows, FLOW, dtype=np.uint8),
        stage=spool.column("stage")[keep],
        role=np.full(rows, _NO_ROLE, dtype=np.uint8),
        run=run[keep],
        episode=np.full(rows, -1, dtype=np.int32),
        origin=label,
        group=group[keep],
        host=np.unique(spool.column("host")[keep], return_inverse=True)[1].astype(np.int32),
        time_us=spool.column("time_us")[keep],
        label=label,
    )
    for number, own in enumerate(collector.runs):
        own |= {"rows": int((run == number).sum()), "used": int((arrays.run == number).sum())}
    report = {"files": collector.files} | found | {"constant_columns": constant} | _counts(collector, arrays, y, spool)
    layout = collector.layout().name
    about = json.dumps({"layout": layout, "features": features}, sort_keys=True).encode()
    return Dataset(
        arrays=arrays,
        features=features,
        table_digest=hashlib.sha256(about).hexdigest(),
        origins=collector.labels.names,
        runs=collector.runs,
        episodes=[],
        report=report,
        settings=collector.request.as_json(),
        labels=collector.labels.names,
        profile=layout,
    )


def _sift(collector: Collector, spool: Spool, y: npt.NDArray[np.int64]) -> tuple[Bool, dict[str, Any]]:
    """Leaves out rows that repeat another, and what is above the limit of a class."""
    again = clean.repeated(spool.column("row"))
    keep = ~again
    own = np.asarray(spool.column("features"))[keep]
    found: dict[str, Any] = {
        "read": sum(file["rows"] for file in collector.files),
        "duplicates": int(again.sum()),
        "equal_features": int(clean.repeated(own).sum()),
        "contradicting": clean.contradicting(own, y[keep]),
    }
    most = collector.request.max_rows_per_class
    if most is not None:
        kept = clean.thin(y, spool.column("group"), keep, most)
        found["thinned"] = int(keep.sum() - kept.sum())
        keep = kept
    return keep, found


def _range(x: F32) -> tuple[F32, F32]:
    lowest, highest = x[:1].min(axis=0), x[:1].max(axis=0)
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        lowest, highest = np.minimum(lowest, part.min(axis=0)), np.maximum(highest, part.max(axis=0))
        release(x)
    return lowest, highest


def _counts(collector: Collector, arrays: Arrays, y: npt.NDArray[np.int64], spool: Spool) -> dict[str, Any]:
    """Rows per class and per label, before and after."""
    names = collector.labels.names
    before = np.bincount(spool.column("label"), minlength=len(names))
    after = np.bincount(arrays.label, minlength=len(names))
    labels = {
        text: {"class": classes.name(label), "rows": int(old), "used": int(new)}
        for text, label, old, new in zip(names, collector.label_class, before, after, strict=True)
    }
    kept = np.bincount(arrays.y, minlength=len(classes.NAMES))
    total = np.bincount(y, minlength=len(classes.NAMES))
    own = {
        classes.name(int(number)): {
            "rows": int(total[number]),
            "used": int(kept[number]),
            "groups": len(np.unique(arrays.group[arrays.y == number])),
        }
        for number in np.flatnonzero(total)
    }
    return {"labels": labels, "classes": own}


def render(made: Dataset) -> str:
    """The report as text."""
    lines, report = [], made.report
    for file in report["files"]:
        lines.append(f"{file['name']} ({file['split']}): {file['rows']} rows, {file['kept']} kept")
        for title, key in _FOUND:
            if file[key]:
                lines.append(f"  {title}: " + ", ".join(f"{what} {count}" for what, count in file[key].items()))
        if file["times_unknown"]:
            lines.append(f"  times that can't be read: {file['times_unknown']}")
        for title, key in (("columns missing", "columns_missing"), ("columns left aside", "columns_left")):
            if file[key]:
                lines.append(f"  {title}: {', '.join(file[key])}")
    if len(made.runs) != len(report["files"]):
        lines += [f"capture {run['name']}: {run['rows']} rows, {run['used']} used" for run in made.runs]
    lines.append(
        f"duplicates: {report['duplicates']}; equal inputs, other flow: {report['equal_features']}; "
        f"equal inputs, other class: {report['contradicting']}"
        + (f"; thinned out: {report['thinned']}" if "thinned" in report else "")
    )
    lines.append(f"columns: {len(made.features)}; constant: {', '.join(report['constant_columns']) or 'none'}")
    lines.append(f"\n{'class':<14}{'rows':>10}{'used':>10}{'flows':>10}")
    for name, own in report["classes"].items():
        lines.append(f"{name:<14}{own['rows']:>10}{own['used']:>10}{own['groups']:>10}")
    lines.append(f"\n{'label':<40}{'class':<14}{'rows':>10}{'used':>10}")
    for name, own in report["labels"].items():
        lines.append(f"{name:<40}{own['class']:<14}{own['rows']:>10}{own['used']:>10}")
    return "\n".join(lines)
