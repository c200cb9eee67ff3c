"""`prepare --table`: public tables of flows become a data set, in batches."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ganglion_trainer.derived import STAGES, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import sha256
from ganglion_trainer.hashing import U64, fold
from ganglion_trainer.progress import say
from ganglion_trainer.tables import cells, clean, inputs, labelmap
from ganglion_trainer.tables.clean import NonFinite, Tally
from ganglion_trainer.tables.layout import Layout, Match, match
from ganglion_trainer.tables.source import Source, open_table
from ganglion_trainer.tables.spool import Spool

I32 = npt.NDArray[np.int32]
_DAY_US = 86_400_000_000
# A first batch with more unreadable cells than this share has a column of another type.
_WRONG_TYPE = 0.5
# What stands in a column of labels where there is none.
_NO_LABEL = frozenset(("", "-", "(empty)"))
_SAY_ROWS = 1_000_000


@dataclass(frozen=True)
class Request:
    """What is to be prepared, and how."""

    tables: list[Path]
    test_tables: list[Path] = field(default_factory=list)
    layout: str = "auto"
    label_column: str | None = None
    # One label for all rows, of tables that have none.
    label: str | None = None
    label_map: Path | None = None
    with_ports: bool = False
    nonfinite: NonFinite = "drop"
    # A capture is a file, or what one day of a file holds.
    capture_by: str = "file"
    max_rows_per_class: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the data set's settings; without paths, which do not matter."""
        own = {name: value for name, value in asdict(self).items() if name not in ("tables", "test_tables")}
        return own | {"label_map": None if self.label_map is None else sha256(self.label_map)}


class _Numbers:
    """Numbers for labels and hosts, in the order they come."""

    def __init__(self) -> None:
        self.names: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, name: Any) -> int:  # noqa: ANN401
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


class Collector:
    """Everything that grows over the files."""

    def __init__(self, request: Request, spool: Spool) -> None:
        self.request = request
        self.spool = spool
        self.match: Match | None = None
        self.first: Path | None = None
        self.map = labelmap.LabelMap([])
        self.labels = _Numbers()
        self.label_class: list[int] = []
        self.unknown: Counter[str] = Counter()
        self.runs: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []

    def layout(self) -> Layout:
        """The layout of all files."""
        if self.match is None:
            raise TrainerError("no table was read")
        return self.match.layout

    def features(self) -> list[str]:
        """The inputs, in order."""
        return inputs.names(self.match, self.request.with_ports) if self.match is not None else []

    def file(self, path: Path, split: str) -> None:
        """Reads one file."""
        source = open_table(path)
        found = self._match(source)
        tally = Tally()
        first = len(self.runs)
        said = 0
        for batch in source.batches(found.columns()):
            if batch.num_rows:
                self._batch(batch, found, path, split, tally, first)
            if tally.rows - said >= _SAY_ROWS:
                said = tally.rows
                say(f"{path.name}: {tally.rows} rows")
        if source.broken_lines:
            tally.rows += source.broken_lines
            tally.dropped["a line with another number of cells"] += source.broken_lines
        if not tally.rows:
            raise TrainerError(f"{path}: no rows")
        if len(self.runs) == first:
            self._run(path, split, None)
        about = {"name": path.name, "split": split, "layout": found.layout.name, **tally.as_json()}
        about |= {"columns_missing": found.missing, "columns_left": found.left, "sha256": sha256(path)}
        self.files.append(about)
        for run in self.runs[first:]:
            run |= {"scenario": found.layout.name, "sha256": {path.name: about["sha256"]}}
            # What was dropped is known by file.
            run["dropped"] = about["dropped"] if len(self.runs) == first + 1 else {}
        say(f"{path.name}: {tally.rows} rows, {tally.kept} kept")

    def _match(self, source: Source) -> Match:
        where = str(source.path)
        found = match(source.header, self.request.layout, where)
        if self.match is None:
            self.match, self.first = found, source.path
            self.map = labelmap.load(found.layout.name, self.request.label_map)
        elif found.layout.name != self.match.layout.name or list(found.inputs) != list(self.match.inputs):
            apart = sorted({*found.inputs} ^ {*self.match.inputs})
            raise TrainerError(
                f"{where}: other columns than {self.first} ({', '.join(apart[:4])}): "
                "files of different meters do not mix: prepare them apart"
            )
        return self._with_label(found, source)

    def _with_label(self, found: Match, source: Source) -> Match:
        wanted, meta = self.request.label_column, dict(found.meta)
        if self.request.label is not None:
            meta = {what: column for what, column in meta.items() if what not in ("label", "fallback")}
        elif wanted is not None:
            if wanted not in source.header:
                raise TrainerError(f"{source.path}: no column {wanted!r}: there are {', '.join(source.header)}")
            meta["label"] = wanted
            meta.pop("fallback", None)
        elif "label" not in meta and "fallback" not in meta:
            names = [*found.layout.meta["label"], *found.layout.meta.get("fallback", [])]
            raise TrainerError(
                f"{source.path}: no column of labels ({', '.join(names)}): name it with "
                "--label-column, or give all rows one with --label"
            )
        if self.request.with_ports and "destination_port" not in meta:
            raise TrainerError(f"{source.path}: no column of ports, which --with-ports asks for")
        inputs = dict(found.inputs)
        if found.layout.rest:
            inputs = {name: column for name, column in inputs.items() if column != wanted}
        elif wanted in inputs.values():
            raise TrainerError(f"{source.path}: {wanted!r} is an input, not a label")
        return Match(found.layout, inputs, meta, found.missing, found.left)

    def _run(self, path: Path, split: str, day: int | None) -> int:
        name = path.name if day is None else f"{path.name}, {np.datetime64(day, 'D')}"
        empty: dict[str, Any] = {"name": name, "scenario": "", "split": split, "seed": 0, "rows": 0, "thinned": 0}
        empty |= {"dropped": {}, "attacks": 0, "attacks_without_rows": [], "sha256": {}, "day": day}
        self.runs.append(empty)
        return len(self.runs) - 1

    def _batch(self, batch: pa.RecordBatch, found: Match, path: Path, split: str, tally: Tally, first: int) -> None:
        columns = {name: batch.column(batch.schema.get_field_index(name)) for name in found.columns()}
        label, good = self._labels(columns, found, path, batch.num_rows, tally)
        x, readable = self._inputs(columns, found, path, tally, good)
        good &= readable
        times = np.zeros(batch.num_rows, dtype=np.int64)
        if "time" in found.meta:
            name = found.meta["time"]
            times = cells.times_us(columns[name], f"{path}: column {name!r}")
            tally.times_unknown += int((times[good] == 0).sum())
        tally.rows += batch.num_rows
        tally.kept += int(good.sum())
        own = clean.row_hashes(x)
        group, host = self._ends(columns, found, path, own)
        numbers = np.array(self.label_class or [0], dtype=np.int64)
        y = np.where(good, numbers[label], 0).astype(np.uint8)
        run = self._captures(times, path, split, first)
        row = fold([own, group, times.astype(np.uint64), label.astype(np.uint64)])
        part: dict[str, npt.NDArray[Any]] = {
            "x": x,
            "y": y,
            "run": run,
            "label": label,
            "group": group,
            "host": host,
            "time_us": times,
        }
        part |= {"features": own, "row": row, "stage": self._stages(columns, found, path, batch.num_rows)}
        self.spool.append({name: values[good] for name, values in part.items()})

    def _labels(
        self, columns: dict[str, pa.Array], found: Match, path: Path, rows: int, tally: Tally
    ) -> tuple[I32, Bool]:
        texts, place = self._label_texts(columns, found, path, rows)
        header = [place for place, text in enumerate(texts) if text == found.meta.get("label")]
        counts = np.bincount(place[place >= 0], minlength=len(texts))
        numbers, use = np.zeros(len(texts) + 1, dtype=np.int32), np.zeros(len(texts) + 1, dtype=bool)
        for number, text in enumerate(texts):
            if not counts[number]:
                continue
            if number in header:
                tally.dropped["the header again"] += int(counts[number])
                continue
            label = self.map.find(text)
            if label is None:
                self.unknown[text] += int(counts[number])
            elif label == labelmap.DROP:
                tally.dropped[f"label {text!r}"] += int(counts[number])
            else:
                numbers[number], use[number] = self._label(text, label), True
        missing = int((place < 0).sum())
        if missing:
            tally.dropped["no label"] += missing
        return numbers[place], use[place]

    def _label_texts(self, columns: dict[str, pa.Array], found: Match, path: Path, rows: int) -> tuple[list[str], I32]:
        """The labels, from the second column where the first says nothing."""
        if self.request.label is not None:
            return [self.request.label], np.zeros(rows, dtype=np.int32)
        texts: list[str] = []
        place = np.full(rows, -1, dtype=np.int32)
        for what in ("label", "fallback"):
            if what in found.meta:
                name = found.meta[what]
                own, number = cells.texts(columns[name], f"{path}: column {name!r}")
                empty = np.array([*(text in _NO_LABEL for text in own), True])[number]
                place = np.where((place < 0) & ~empty, number + len(texts), place).astype(np.int32)
                texts += own
        return texts, place

    def _label(self, text: str, label: int) -> int:
        number = self.labels.number(text)
        if number == len(self.label_class):
            self.label_class.append(label)
        return number

    def _inputs(
        self, columns: dict[str, pa.Array], found: Match, path: Path, tally: Tally, labelled: Bool
    ) -> tuple[npt.NDArray[np.float32], Bool]:
        names = self.features()
        x = np.empty((len(labelled), len(names)), dtype=np.float32, order="F")
        unreadable: dict[str, Bool] = {}
        for place, (column, own) in enumerate(inputs.read(columns, found, self.request.with_ports, str(path))):
            with np.errstate(over="ignore"):
                x[:, place] = np.where(labelled, own.values, 0)
            bad = own.unreadable & labelled
            if not bad.any():
                continue
            unreadable[names[place]] = bad
            if tally.rows == 0 and bad.sum() > _WRONG_TYPE * labelled.sum():
                raise TrainerError(f"{path}: column {column!r} holds {own.example!r} and the like, numbers are due")
        good = clean.finite(names, x, unreadable, tally, self.request.nonfinite)
        by_name = {name: x[:, place] for place, name in enumerate(names)}
        clean.mend_headers(by_name, found.layout.headers, "Protocol", tally)
        return x, good

    def _ends(self, columns: dict[str, pa.Array], found: Match, path: Path, own: U64) -> tuple[U64, U64]:
        """Group and opener of each row; a table without addresses groups rows of equal features."""
        known: dict[str, U64] = {}
        for what in ("source", "destination", "source_port", "destination_port"):
            if what in found.meta:
                name = found.meta[what]
                read = cells.ports if what.endswith("port") else cells.hashes
                known[what] = read(columns[name], f"{path}: column {name!r}")
        if "source" not in known or "destination" not in known:
            return own, np.zeros(len(own), dtype=np.uint64)
        nothing = np.zeros(len(own), dtype=np.uint64)
        ends = [fold([known[side], known.get(f"{side}_port", nothing)]) for side in ("source", "destination")]
        parts = [np.minimum(*ends), np.maximum(*ends)]
        if "protocol" in found.meta:
            column = found.meta["protocol"]
            parts.append(cells.ports(columns[column], f"{path}: column {column!r}"))
        return fold(parts), known["source"]

    def _stages(self, columns: dict[str, pa.Array], found: Match, path: Path, rows: int) -> npt.NDArray[np.uint8]:
        """At what point of its flow each row was made."""
        if "stage" not in found.meta:
            return np.zeros(rows, dtype=np.uint8)
        name = found.meta["stage"]
        texts, place = cells.texts(columns[name], f"{path}: column {name!r}")
        known = {stage: number for number, stage in enumerate(STAGES)}
        odd = [text for text in texts if text.replace("_", "-") not in known]
        if odd or (place < 0).any():
            shown = repr(odd[0]) if odd else "nothing"
            raise TrainerError(f"{path}: column {name!r} holds {shown}; known are {', '.join(STAGES)}")
        return np.array([known[text.replace("_", "-")] for text in texts], dtype=np.uint8)[place]

    def _captures(self, times: npt.NDArray[np.int64], path: Path, split: str, first: int) -> I32:
        days = times // _DAY_US if self.request.capture_by == "day" else np.full(len(times), -1)
        run = np.zeros(len(times), dtype=np.int32)
        for day in np.unique(days):
            wanted = None if self.request.capture_by == "file" else int(day)
            known = [number for number in range(first, len(self.runs)) if self.runs[number]["day"] == wanted]
            run[days == day] = known[0] if known else self._run(path, split, wanted)
        return run
