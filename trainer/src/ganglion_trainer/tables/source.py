"""Opens a table and gives its rows in batches, so that a file of any size passes through little memory."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ganglion_trainer.errors import TrainerError

# Rows of Parquet, and bytes of CSV, in memory at a time.
BATCH_ROWS = 65_536
BLOCK_BYTES = 8 << 20
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
    return _Parquet(path) if magic == b"PAR1" else _Csv(path)


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


class _Csv(Source):
    """Every cell is read as text: a column's type is settled by what is due there, not by its first rows."""

    def __init__(self, path: Path) -> None:
        line = _first_line(path)
        names = [name.strip() for name in next(csv.reader([line]), [])]
        if len(names) < 2:
            raise TrainerError(f"{path}: the first line is no header of a comma-separated table")
        super().__init__(path, _distinct(names))

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        def skip(row: Any) -> str:  # noqa: ANN401
            self.broken_lines += 1
            return "skip"

        read = pa.csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=self.header, skip_rows=1, encoding="utf8"
        )
        parse = pa.csv.ParseOptions(invalid_row_handler=skip)
        convert = pa.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(self.header, pa.binary()),
            include_columns=columns,
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
