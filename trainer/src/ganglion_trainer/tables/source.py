"""Opens a table and gives its rows in batches, so that a file of any size passes through little memory."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ganglion_trainer.errors import TrainerError
from ganglion_trainer.tables.cells import decode
from ganglion_trainer.tables.layout import headerless

# Rows of Parquet, and bytes of CSV, in memory at a time.
BATCH_ROWS = 32_768
BLOCK_BYTES = 4 << 20
# A header line is never longer.
_HEADER_BYTES = 1 << 16


class Source:
    """A table with named columns."""

    def __init__(self, path: Path, header: list[str]) -> None:
        self.path = path
        self.header = header
        # Lines that have another number of cells than the header.
        self.broken_lines = 0

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """The rows, with these columns alone."""
        raise NotImplementedError


def open_table(path: Path) -> Source:
    """The reader that the file asks for."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    if not magic:
        raise TrainerError(f"{path}: empty")
    if magic == b"PAR1":
        return _Parquet(path)
    line = _first_line(path)
    if line.startswith("#separator"):
        return Zeek(path)
    cells = [cell.strip() for cell in next(csv.reader([line]), [])]
    if len(cells) < 2:
        raise TrainerError(f"{path}: the first line is no header of a comma-separated table")
    names = headerless(cells)
    return Text(path, names, 0) if names is not None else Text(path, _distinct(cells), 1)


class _Parquet(Source):
    def __init__(self, path: Path) -> None:
        try:
            self._file = pa.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise TrainerError(f"{path}: no readable Parquet: {_one_line(error)}") from error
        names = list(self._file.schema_arrow.names)
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise TrainerError(f"{path}: column {twice[0]!r} stands there twice")
        super().__init__(path, names)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise TrainerError(f"{self.path}: no readable Parquet: {_one_line(error)}") from error


class Text(Source):
    """Every cell is read as text: a column's type is settled by what is due there, not by its first rows."""

    delimiter = ","
    quote: str | bool = '"'

    def __init__(self, path: Path, header: list[str], skip: int) -> None:
        super().__init__(path, header)
        self._skip = skip

    def _broken(self, row: Any) -> str:  # noqa: ANN401
        self.broken_lines += 1
        return "skip"

    def _names(self) -> list[str]:
        return self.header

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        names = self._names()
        read = pa.csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=self._skip, encoding="utf8"
        )
        parse = pa.csv.ParseOptions(
            delimiter=self.delimiter, quote_char=self.quote, invalid_row_handler=self._broken, newlines_in_values=False
        )
        convert = pa.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.binary()),
            include_columns=[name for name in names if name in columns or name not in self.header],
            strings_can_be_null=False,
        )
        try:
            with pa.csv.open_csv(pa.input_stream(str(self.path), compression="detect"), read, parse, convert) as table:
                yield from table
        except (pa.ArrowException, OSError) as error:
            if "Empty CSV file" in str(error):
                return
            raise TrainerError(f"{self.path}: no readable table: {_one_line(error)}") from error


def _first_line(path: Path) -> str:
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            head: bytes = file.read(_HEADER_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise TrainerError(f"{path}: {_one_line(error)}") from error
    line, end, _ = head.partition(b"\n")
    if not end and len(head) == _HEADER_BYTES:
        raise TrainerError(f"{path}: no line ends in the first {_HEADER_BYTES} bytes: no table in text")
    if b"\0" in line:
        raise TrainerError(f"{path}: neither Parquet nor text")
    return io.TextIOWrapper(io.BytesIO(line), "utf-8-sig", errors="replace").read().rstrip("\r")


class Zeek(Text):
    """A log of Zeek as it writes them: tabs, and lines of `#` that say what is what.

    Published logs with labels may hold the last fields in one, with blanks between: IoT-23 does.
    """

    delimiter = "\t"
    quote = False

    def __init__(self, path: Path) -> None:
        lines = _comments(path)
        fields = next((line for line in lines if line.startswith("#fields")), None)
        if fields is None:
            raise TrainerError(f"{path}: a log of Zeek without a line of #fields")
        self._raw = fields.rstrip().split("\t")[1:]
        self._joined = re.split(r"\s{2,}", self._raw[-1]) if self._raw else []
        super().__init__(path, [*self._raw[:-1], *self._joined], len(lines))

    def _broken(self, row: Any) -> str:  # noqa: ANN401
        if not str(row.text).startswith("#"):
            self.broken_lines += 1
        return "skip"

    def _names(self) -> list[str]:
        return self._raw

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(columns):
            if len(self._joined) < 2:
                yield batch
                continue
            last = batch.column(batch.schema.get_field_index(self._raw[-1]))
            parts = [decode(cell.as_py()).split(None, len(self._joined) - 1) for cell in last]
            arrays = {name: batch.column(place) for place, name in enumerate(batch.schema.names)}
            del arrays[self._raw[-1]]
            for place, name in enumerate(self._joined):
                arrays[name] = pa.array([part[place] if place < len(part) else "" for part in parts], pa.string())
            yield pa.RecordBatch.from_pydict({name: own for name, own in arrays.items() if name in columns})


def _comments(path: Path) -> list[str]:
    """The lines of `#` that a log begins with."""
    with pa.input_stream(str(path), compression="detect") as file:
        head = bytes(file.read(_HEADER_BYTES)).decode("utf-8", "replace")
    return list(takewhile(lambda line: line.startswith("#"), head.split("\n")))


def _distinct(names: list[str]) -> list[str]:
    """A name that comes again gets a number, as `Fwd Header Length` in the files of 2017."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        distinct.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
