"""Reading and writing with errors that name the file."""

import hashlib
import json
import mmap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer.errors import TrainerError

# A JSON file of ours is never larger.
JSON_LIMIT = 64 << 20
# Rows written at a time.
_ROWS = 65_536


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise TrainerError(f"{path}: larger than {JSON_LIMIT} bytes")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TrainerError(f"{path}: no JSON: {error}") from error
    if not isinstance(value, dict):
        raise TrainerError(f"{path}: a JSON object is due, not a {type(value).__name__}")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes an object, keys in the order given; NaN is an error."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error


def write_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Writes what `numpy.load` reads, piece by piece: an array may be a map of a file that no memory holds."""
    layout = np.lib.format
    try:
        with zipfile.ZipFile(path, "w") as packed:
            for name, values in arrays.items():
                with packed.open(f"{name}.npy", "w", force_zip64=True) as file:
                    plain = {"descr": layout.dtype_to_descr(values.dtype), "fortran_order": False}
                    layout.write_array_header_1_0(file, plain | {"shape": values.shape})
                    for start in range(0, len(values), _ROWS):
                        file.write(values[start : start + _ROWS].tobytes())
                        release(values)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror or error}") from error


def release(values: npt.NDArray[Any]) -> None:
    """Lets go of the memory that a map of a file has taken; its contents stay in the file."""
    base: Any = values
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None:
        base.madvise(mmap.MADV_DONTNEED)


def field(of: dict[str, Any], name: str, kind: type | tuple[type, ...], where: str) -> Any:  # noqa: ANN401
    """A field of an object that must have this type."""
    if name not in of:
        raise TrainerError(f"{where}: field {name!r} is missing")
    value = of[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TrainerError(f"{where}: field {name!r} is {type(value).__name__} {str(value)[:40]!r}")
    return value


def strings(of: dict[str, Any], name: str, where: str) -> list[str]:
    """A field that must be a list of strings."""
    values: list[Any] = field(of, name, list, where)
    for value in values:
        if not isinstance(value, str):
            raise TrainerError(f"{where}: field {name!r} holds {str(value)[:40]!r}, not only strings")
    return values
