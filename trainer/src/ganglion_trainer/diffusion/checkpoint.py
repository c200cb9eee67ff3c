"""Checkpoints of a training as safetensors: tensors by name, no code, sizes checked before they are taken."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganglion_trainer.derived import F32, I64
from ganglion_trainer.diffusion.settings import Settings, as_json
from ganglion_trainer.errors import TrainerError

# Lists that grow while training goes on, and a state whose size is the library's.
_GROWS = ("curve.",)


def mark(x: F32, y: I64, settings: Settings, seed: int) -> str:
    """Names a training: another one's checkpoint is not taken for it."""
    digest = hashlib.sha256(json.dumps([as_json(settings), seed, list(x.shape)]).encode())
    digest.update(x.tobytes())
    digest.update(y.tobytes())
    return digest.hexdigest()


def save(path: Path, name: str, tensors: dict[str, Tensor]) -> None:
    """Writes all or nothing."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata={"training": name})
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise TrainerError(f"{path}: can't write the checkpoint: {error}") from error


def load(path: Path, name: str, like: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """The tensors, if the file is there and of this training; `like` says which are due, and their sizes."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("training") != name:
                return None
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainerError(f"{path}: no checkpoint: {error}; delete it to train anew") from error
    for key, due in like.items():
        grows = key.startswith(_GROWS)
        if key not in found or found[key].dtype != due.dtype or (not grows and found[key].shape != due.shape):
            raise TrainerError(f"{path}: tensor {key!r} is missing or of another size; delete it to train anew")
    return found
