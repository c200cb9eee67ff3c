"""Cells as numbers: values, times, and hashes of what only has to be told apart."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganglion_trainer.derived import Bool
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.hashing import U64

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_TIME = (
    r"^\s*(?P<a>\d{1,4})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{1,4})[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})\d*)?)?\s*(?P<half>[AaPp][Mm])?\s*Z?\s*$"
)


@dataclass(frozen=True)
class Numbers:
    """A column of numbers."""

    # NaN where a cell is empty or unreadable.
    values: F64
    # Neither a number nor empty.
    unreadable: Bool
    # One such cell.
    example: str


def text(column: pa.Array, where: str) -> pa.Array:
    """The column as strings, encoded by their distinct values."""
    column = _plain(column)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        coded = pc.dictionary_encode(column)
        values = [decode(value) for value in coded.dictionary.to_pylist()]
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        coded = pc.dictionary_encode(column)
        values = [value.strip() for value in coded.dictionary.to_pylist()]
    else:
        coded = pc.dictionary_encode(_cast(column, pa.string(), where))
        values = coded.dictionary.to_pylist()
    return pa.DictionaryArray.from_arrays(coded.indices.fill_null(-1).cast(pa.int32()), values, safe=False)


def decode(value: bytes) -> str:
    """Bytes as text; what is not UTF-8 is taken for the Western code page of Windows."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace").strip()


def texts(column: pa.Array, where: str) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Distinct texts, and the number of each row's; −1 where a cell is null."""
    coded = text(column, where)
    return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False).astype(np.int32)


def numbers(column: pa.Array, where: str, unset: frozenset[str] = frozenset()) -> Numbers:
    """The column as numbers. A cell that is `unset` counts as 0; an empty one as NaN, unless `unset` names it."""
    column = _plain(column)
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        if "" in unset:
            values[np.isnan(values)] = 0.0
        return Numbers(values, np.zeros(len(values), dtype=bool), "")
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return numbers(_cast(column, pa.float64(), where), where, unset)
    if not _is_text(kind):
        raise TrainerError(f"{where} is of type {kind}, numbers are due")
    return _parsed(column, where, unset)


def _parsed(column: pa.Array, where: str, unset: frozenset[str]) -> Numbers:
    try:
        values = column.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
        return Numbers(values.astype(np.float64), np.zeros(len(values), dtype=bool), "")
    except pa.ArrowException:
        pass  # Some cell needs a closer look.
    distinct, number = texts(column, where)
    value, bad, example = np.zeros(len(distinct) + 1), np.zeros(len(distinct) + 1, dtype=bool), ""
    # A cell that is null.
    value[-1] = 0.0 if "" in unset else np.nan
    for place, cell in enumerate(distinct):
        try:
            value[place] = 0.0 if cell in unset else _number(cell)
        except (ValueError, OverflowError):
            value[place], bad[place], example = np.nan, True, example or cell[:40]
    return Numbers(value[number], bad[number], example)


def _number(cell: str) -> float:
    if cell.lower().startswith("0x"):
        return float(int(cell, 16))
    return float(cell or "nan")


def hashes(column: pa.Array, where: str) -> U64:
    """A number per distinct text; the same text has the same in every file."""
    distinct, number = texts(column, where)
    own = [hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=8).digest() for value in [*distinct, ""]]
    return np.frombuffer(b"".join(own), dtype="<u8")[number].astype(np.uint64)


def ports(column: pa.Array, where: str) -> U64:
    """Ports as numbers, or as hashes where they are none: `0x0008` of ICMP, `-`."""
    try:
        found = numbers(column, where)
    except TrainerError:
        return hashes(column, where)
    odd = found.unreadable | ~np.isfinite(found.values) | (found.values < 0)
    plain = np.where(odd, 0, found.values).astype(np.uint64)
    return np.where(odd, hashes(column, where), plain) if odd.any() else plain


def times_us(column: pa.Array, where: str) -> I64:
    """Microseconds since 1970; 0 where a cell can't be read. Dates are year first or day first."""
    column = _plain(column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = _cast(column, pa.timestamp("us"), where)
        return np.asarray(moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
    if not _is_text(column.type):
        return _epoch_us(numbers(column, where).values)
    distinct, number = texts(column, where)
    plain = pa.array([*distinct, ""], pa.string())
    parts = pc.extract_regex(plain, _TIME)
    known = parts.is_valid().to_numpy(zero_copy_only=False)
    moment = np.zeros(len(plain), dtype=np.int64)
    moment[known] = _civil_us(parts.filter(pa.array(known)))
    epoch = numbers(plain.filter(pa.array(~known)), where).values
    moment[~known] = _epoch_us(epoch)
    return moment[number]


def _epoch_us(seconds: F64) -> I64:
    """Of seconds; of milliseconds or microseconds where seconds would lie beyond the year 5000."""
    good = np.isfinite(seconds) & (seconds > 0)
    known = np.where(good, seconds, 0)
    scale = np.where(known > 1e14, 1.0, np.where(known > 1e11, 1e3, 1e6))
    return np.asarray(np.where(known < 9e18, known * scale, 0), dtype=np.int64)


def _civil_us(parts: pa.StructArray) -> I64:
    def part(name: str) -> I64:
        own = pc.struct_field(parts, name)
        return np.asarray(pc.replace_substring_regex(own, "^$", "0").cast(pa.int64()).to_numpy(zero_copy_only=False))

    first, month, third = part("a"), part("b"), part("c")
    year, day = np.where(first > 31, first, third), np.where(first > 31, third, first)
    year = np.where(year < 100, year + 2000, year)
    # Month first, as 12/31/2017.
    swap = (month > 12) & (day <= 12)
    month, day = np.where(swap, day, month), np.where(swap, month, day)
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1900) & (year < 2200)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + np.where(good, day - 1, 0)
    half = np.array([(value or "").lower() for value in pc.struct_field(parts, "half").to_pylist()])
    hour = part("hour")
    hour = np.where(half == "pm", hour % 12 + 12, np.where(half == "am", hour % 12, hour))
    fraction = pc.utf8_rpad(pc.struct_field(parts, "fraction"), 6, "0").cast(pa.int64())
    seconds = days * 86_400 + hour * 3600 + part("minute") * 60 + part("second")
    return np.where(good, seconds * 1_000_000 + fraction.to_numpy(zero_copy_only=False), 0)


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _cast(column: pa.Array, to: pa.DataType, where: str) -> pa.Array:
    try:
        return column.cast(to)
    except pa.ArrowException as error:
        raise TrainerError(f"{where} is of type {column.type}: {' '.join(str(error).split())[:200]}") from error
