"""Finds the recordings of a folder and derives their rows where that has not been done."""

import lzma
import shutil
import subprocess
from pathlib import Path

import zstandard

from ganglion_trainer.errors import TrainerError
from ganglion_trainer.progress import say

_DERIVED = ("rows.f32", "meta.csv", "features.json")
# As `cargo xtask lab record` writes records, and as they are kept: xz takes a fifth less.
PACKED = ("records.gnl.zst", "records.gnl.xz")


def find(folder: Path) -> list[Path]:
    """The folders below that hold an event log, by name."""
    if not folder.is_dir():
        raise TrainerError(f"{folder}: no folder")
    found = sorted(path.parent for path in folder.rglob("events.jsonl"))
    if not found:
        raise TrainerError(f"{folder}: no recording below (a folder with events.jsonl)")
    return found


def derive(recording: Path, work: Path, ganglion: Path | None) -> Path:
    """A folder with rows and event log of the recording: itself, or one below `work`."""
    if all((recording / name).exists() for name in _DERIVED):
        return recording
    if ganglion is None:
        raise TrainerError(f"{recording}: no rows.f32: give --ganglion, or run `ganglion features derive` first")
    out = work / recording.name
    out.mkdir(parents=True, exist_ok=True)
    raw = recording / "records.gnl"
    if not raw.exists():
        raw = out / "records.gnl"
        _unpack(_packed(recording), raw)
    say(f"deriving {recording.name}")
    command = [str(ganglion), "features", "derive", str(raw), "-o", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise TrainerError(f"{ganglion}: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise TrainerError(f"`{' '.join(command)}` failed with {done.returncode}: {said[-1]}")
    if raw.parent == out:
        raw.unlink()
    for name in ("events.jsonl", *PACKED):
        if (recording / name).exists():
            shutil.copyfile(recording / name, out / name)
    return out


def _packed(recording: Path) -> Path:
    for name in PACKED:
        if (recording / name).exists():
            return recording / name
    raise TrainerError(f"{recording}: no records: neither records.gnl nor {' nor '.join(PACKED)}")


def _unpack(packed: Path, to: Path) -> None:
    try:
        with to.open("wb") as target:
            if packed.suffix == ".xz":
                with lzma.open(packed) as unpacked:
                    shutil.copyfileobj(unpacked, target, 1 << 20)
            else:
                with packed.open("rb") as source:
                    zstandard.ZstdDecompressor().copy_stream(source, target)
    except OSError as error:
        raise TrainerError(f"{packed}: {error.strerror or error}") from error
    except (EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise TrainerError(f"{packed}: {error}") from error
