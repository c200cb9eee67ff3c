"""What the columns of a known kind of table are called and mean. The tables are in `layouts/`."""

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ganglion_trainer.errors import TrainerError

NAMES = ("cicflowmeter",)
META = ("label", "source", "source_port", "destination", "destination_port", "time")
PORT = "Dst Port"


def key(name: str) -> str:
    """What two spellings of one name have in common."""
    return " ".join(name.replace("_", " ").split()).casefold()


@dataclass(frozen=True)
class Layout:
    """One kind of table."""

    name: str
    title: str
    # Name of the input, and its spellings.
    features: dict[str, list[str]]
    optional: frozenset[str]
    # What is kept beside the inputs, and its spellings.
    meta: dict[str, list[str]]
    ignored: list[str]
    # Sum of header bytes, and the packets it is over.
    headers: dict[str, str]

    def spellings(self, feature: str) -> list[str]:
        """All names that a feature has."""
        return [feature, *self.features[feature]]


@dataclass(frozen=True)
class Match:
    """Where a file's columns go."""

    layout: Layout
    # Input and the file's column.
    features: dict[str, str]
    meta: dict[str, str]
    missing_optional: list[str]
    ignored: list[str]

    def columns(self) -> list[str]:
        """The file's columns that are read."""
        return list(dict.fromkeys([*self.features.values(), *self.meta.values()]))


def load(name: str) -> Layout:
    """A layout by its name."""
    text = resources.files("ganglion_trainer.tables").joinpath(f"layouts/{name}.toml").read_text(encoding="utf-8")
    values: dict[str, Any] = tomllib.loads(text)
    return Layout(
        name,
        values["title"],
        values["features"],
        frozenset(values.get("optional", [])),
        values["meta"],
        values.get("ignored", []),
        values.get("headers", {}),
    )


def match(header: list[str], wanted: str, where: str) -> Match:
    """The layout of a file with this header: the wanted one, or with `auto` the one that fits."""
    layouts = [load(name) for name in (NAMES if wanted == "auto" else (wanted,))]
    found = {key(name): name for name in reversed(header)}
    scored = [(_missing(layout, found), layout) for layout in layouts]
    missing, layout = min(scored, key=lambda pair: len(pair[0]) / len(pair[1].features))
    if missing:
        raise TrainerError(_complaint(layout, missing, header, wanted, where))
    features = {feature: _find(layout.spellings(feature), found) for feature in layout.features}
    here = {feature: column for feature, column in features.items() if column is not None}
    meta = {what: _find(names, found) for what, names in layout.meta.items()}
    beside = {what: column for what, column in meta.items() if column is not None}
    used = {*here.values(), *beside.values()}
    absent = [feature for feature in layout.features if feature not in here]
    return Match(layout, here, beside, absent, [name for name in header if name not in used])


def _find(spellings: list[str], found: dict[str, str]) -> str | None:
    return next((found[key(name)] for name in spellings if key(name) in found), None)


def _missing(layout: Layout, found: dict[str, str]) -> list[str]:
    due = [feature for feature in layout.features if feature not in layout.optional]
    return [feature for feature in due if _find(layout.spellings(feature), found) is None]


def _complaint(layout: Layout, missing: list[str], header: list[str], wanted: str, where: str) -> str:
    due = len(layout.features) - len(layout.optional)
    if wanted == "auto" and len(missing) > due // 2:
        few = ", ".join(repr(name) for name in header[:6])
        return f"{where}: no known table (columns {few}, …): known are {', '.join(NAMES)}; say which with --format"
    known = {key(name) for feature in layout.features for name in layout.spellings(feature)}
    other = {key(name): name for name in header if key(name) not in known}
    hints = []
    for feature in missing[:5]:
        close = difflib.get_close_matches(key(feature), other, 1)
        hints.append(f"{feature!r}" + (f" (is it {other[close[0]]!r}?)" if close else ""))
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return f"{where}: {layout.title} columns are missing: {', '.join(hints)}{more}"
