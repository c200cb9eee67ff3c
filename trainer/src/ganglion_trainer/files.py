"""Reading and writing with errors that name the file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ganglion_trainer.errors import TrainerError

# A JSON file of ours is never larger.
JSON_LIMIT = 64 << 20


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
