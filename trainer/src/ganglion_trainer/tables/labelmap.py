"""Which class a label's text is: the committed table, with a file of the user's before it."""

import fnmatch
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ganglion_trainer import classes
from ganglion_trainer.errors import TrainerError

DROP = -1
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−\x96\x97�", "-"))
_SHOWN = 20


def key(text: str) -> str:
    """What two spellings of one label have in common."""
    return re.sub(r"\s+", " ", text.translate(_DASHES)).strip().casefold()


class LabelMap:
    """Exact texts first, then patterns in their order."""

    def __init__(self, rules: list[tuple[str, int]]) -> None:
        self._exact: dict[str, int] = {}
        self._patterns: list[tuple[str, int]] = []
        for text, number in rules:
            if any(sign in text for sign in "*?["):
                self._patterns.append((key(text), number))
            else:
                self._exact.setdefault(key(text), number)

    def find(self, text: str) -> int | None:
        """A class number, `DROP`, or nothing."""
        own = key(text)
        if own in self._exact:
            return self._exact[own]
        return next((number for pattern, number in self._patterns if fnmatch.fnmatchcase(own, pattern)), None)


def load(layout: str, own: Path | None) -> LabelMap:
    """The map for a layout."""
    rules = _own(own) if own is not None else []
    text = resources.files("ganglion_trainer.tables").joinpath("labels.toml").read_text(encoding="utf-8")
    known = tomllib.loads(text)
    for section in (layout, *known.get(layout, {}).get("like", [])):
        for name, labels in known.get(section, {}).items():
            if name != "like":
                rules += [(label, _number(name, "labels.toml")) for label in labels]
    # A class is called by its own name everywhere.
    return LabelMap([*rules, *((name, number) for number, name in enumerate(classes.NAMES))])


def _own(path: Path) -> list[tuple[str, int]]:
    try:
        text = path.read_text(encoding="utf-8")
        values: Any = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise TrainerError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise TrainerError(f"{path}: a mapping from label to class is due, not a {type(values).__name__}")
    for label, name in values.items():
        if not isinstance(label, str) or not isinstance(name, str):
            raise TrainerError(f'{path}: {label!r}: {name!r}: texts are due on both sides, as in "DoS Hulk" = "DoS"')
    return [(label, _number(name, f"{path}: {label!r}")) for label, name in values.items()]


def _number(name: str, where: str) -> int:
    return DROP if name == "drop" else classes.number(name, where)


def complain(unknown: Mapping[str, int], layout: str) -> TrainerError:
    """The error for labels that the map does not know."""
    ranked = Counter(unknown).most_common()
    shown = ", ".join(f"{label!r} ({count} rows)" for label, count in ranked[:_SHOWN])
    more = f" and {len(ranked) - _SHOWN} more" if len(ranked) > _SHOWN else ""
    return TrainerError(
        f"labels that the {layout} table does not know: {shown}{more}: map each to a class or to drop with "
        f"--label-map FILE, a line such as {ranked[0][0]!r} = 'DoS'; classes are {', '.join(classes.NAMES)}"
    )
