"""Rows on their way to the data set, on disk, so that their number does not count in memory."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ganglion_trainer.derived import F32, Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import release

# Rows moved at a time.
_CHUNK = 65_536


class Spool:
    """Columns that grow in files of a folder that is removed at the end."""

    def __init__(self, beside: Path) -> None:
        try:
            beside.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=".rows-", dir=beside)
        except OSError as error:
            raise TrainerError(f"{beside}: {error.strerror}") from error
        self._path = Path(self._folder.name)
        self._files: dict[str, BinaryIO] = {}
        self._types: dict[str, np.dtype[Any]] = {}
        self.rows = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        with contextlib.suppress(OSError):
            self._folder.cleanup()

    def append(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Adds rows; the same columns every time."""
        try:
            for name, values in columns.items():
                if name not in self._files:
                    self._files[name] = (self._path / name).open("w+b")
                    self._types[name] = values.dtype
                np.ascontiguousarray(values, dtype=self._types[name]).tofile(self._files[name])
        except OSError as error:
            raise TrainerError(f"{self._path}: {error.strerror}") from error
        self.rows += len(next(iter(columns.values())))

    def column(self, name: str, width: int | None = None) -> npt.NDArray[Any]:
        """A column as a map of its file."""
        self._files[name].flush()
        shape = (self.rows,) if width is None else (self.rows, width)
        return np.memmap(self._path / name, dtype=self._types[name], mode="r+", shape=shape)


def compact(rows: F32, keep: Bool) -> F32:
    """Moves the rows to keep to the front, in their order; returns them."""
    filled = 0
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK][keep[start : start + _CHUNK]]
        rows[filled : filled + len(part)] = part
        filled += len(part)
        release(rows)
    return rows[:filled]
