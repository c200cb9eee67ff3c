"""What is kept of finished work, so that a comparison that was stopped goes on where it was."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion_trainer.errors import TrainerError

Values = dict[str, npt.NDArray[Any]]


class Store:
    """Arrays and notes by name, each under the settings that they were made with."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def get(self, name: str) -> tuple[Values, dict[str, Any]] | None:
        """What was kept, unless other settings made it."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                values = {key: file[key] for key in file.files}
            notes = json.loads(bytes(values.pop("notes")))
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise TrainerError(f"{path}: not a finished result: {error}; delete it to make it anew") from error
        if not isinstance(notes, dict) or notes.get("mark") != self.mark:
            return None
        return values, notes

    def put(self, name: str, values: Values, notes: dict[str, Any]) -> None:
        """Keeps a result: all of it or nothing."""
        path = self.folder / f"{name}.npz"
        part = path.with_suffix(".part.npz")
        text = np.frombuffer(json.dumps(notes | {"mark": self.mark}, allow_nan=False).encode(), dtype=np.uint8)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(part, notes=text, allow_pickle=False, **values)
            part.replace(path)
        except OSError as error:
            raise TrainerError(f"{path}: {error.strerror}") from error
