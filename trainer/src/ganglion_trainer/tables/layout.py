"""What the columns of a known kind of table are called and mean. The kinds are in `layouts/`."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ganglion_trainer.errors import TrainerError

NAMES = ("cicflowmeter", "ganglion", "unsw-nb15", "nsl-kdd", "nf-v1", "nf-v2", "ctu-13", "zeek-conn")
PORT = "Dst Port"


def key(name: str) -> str:
    """What two spellings of one name have in common."""
    return " ".join(name.replace("_", " ").split()).casefold()


@dataclass(frozen=True)
class Category:
    """A column of names, of which each becomes an input that is 0 or 1."""

    spellings: list[str]
    values: list[str]


@dataclass(frozen=True)
class Letters:
    """A column of letters, which are counted; with `split`, on both sides of it."""

    spellings: list[str]
    letters: str
    split: str


@dataclass(frozen=True)
class Layout:
    """One kind of table."""

    name: str
    title: str
    # Name of the input, and its spellings.
    numbers: dict[str, list[str]]
    categories: dict[str, Category]
    letters: dict[str, Letters]
    optional: frozenset[str]
    # All other columns are inputs too.
    rest: bool
    # What is kept beside the inputs, and its spellings.
    meta: dict[str, list[str]]
    ignored: frozenset[str]
    # Sum of header bytes, and the packets it is over.
    headers: dict[str, str]
    # Texts that mean 0 in a column of numbers.
    unset: frozenset[str]
    # Columns of tables without a header line, and what the first line then holds at a place.
    headerless: list[str]
    sign: dict[int, frozenset[str]]

    def spellings(self) -> dict[str, list[str]]:
        """Per input column: all names it has."""
        named = {name: [name, *others] for name, others in self.numbers.items()}
        named |= {name: [name, *own.spellings] for name, own in self.categories.items()}
        return named | {name: [name, *own.spellings] for name, own in self.letters.items()}


@dataclass(frozen=True)
class Match:
    """Where a file's columns go."""

    layout: Layout
    # Input column and the file's.
    inputs: dict[str, str]
    meta: dict[str, str]
    missing: list[str]
    left: list[str]

    def columns(self) -> list[str]:
        """The file's columns that are read."""
        return list(dict.fromkeys([*self.inputs.values(), *self.meta.values()]))

    def numbers(self) -> dict[str, str]:
        """Inputs that are numbers in the file."""
        names = {**self.layout.categories, **self.layout.letters}
        return {name: column for name, column in self.inputs.items() if name not in names}


@cache
def load(name: str) -> Layout:
    """A layout by its name."""
    text = resources.files("ganglion_trainer.tables").joinpath(f"layouts/{name}.toml").read_text(encoding="utf-8")
    values: dict[str, Any] = tomllib.loads(text)
    categories = {
        own: Category(about.get("of", []), about["values"]) for own, about in values.get("categories", {}).items()
    }
    letters = {
        own: Letters(about.get("of", []), about["letters"], about.get("split", ""))
        for own, about in values.get("letters", {}).items()
    }
    headerless = values.get("headerless", {})
    return Layout(
        name=name,
        title=values["title"],
        numbers=values["numbers"],
        categories=categories,
        letters=letters,
        optional=frozenset(values.get("optional", [])),
        rest=values.get("rest", False),
        meta=values["meta"],
        ignored=frozenset(key(own) for own in values.get("ignored", [])),
        headers=values.get("headers", {}),
        unset=frozenset(values.get("unset", [])),
        headerless=headerless.get("columns", []),
        sign={int(place): frozenset(texts) for place, texts in headerless.get("sign", {}).items()},
    )


def headerless(cells: list[str]) -> list[str] | None:
    """The columns' names, if these cells are the first row of a table that is known to come without a header."""
    for layout in map(load, NAMES):
        if len(cells) == len(layout.headerless) and all(cells[at] in texts for at, texts in layout.sign.items()):
            return layout.headerless
    return None


def match(header: list[str], wanted: str, where: str) -> Match:
    """The layout of a file with this header: the wanted one, or with `auto` the one that fits."""
    layouts = [load(name) for name in (NAMES if wanted == "auto" else (wanted,))]
    found = {key(name): name for name in reversed(header)}
    scored = [(_missing(layout, found), layout) for layout in layouts]
    missing, layout = min(scored, key=lambda pair: (len(pair[0]) / len(_due(pair[1])), -len(_due(pair[1]))))
    if missing:
        raise TrainerError(_complaint(layout, missing, header, wanted, where))
    inputs = {name: _find(spellings, found) for name, spellings in layout.spellings().items()}
    here = {name: column for name, column in inputs.items() if column is not None}
    meta = {what: _find(names, found) for what, names in layout.meta.items()}
    beside = {what: column for what, column in meta.items() if column is not None}
    used = {*here.values(), *beside.values()}
    others = [name for name in header if name not in used]
    if layout.rest:
        ours = [name for name in others if key(name) not in layout.ignored]
        order = {name: place for place, name in enumerate(header)}
        here |= {name: name for name in ours}
        here = dict(sorted(here.items(), key=lambda pair: order[pair[1]]))
        others = [name for name in others if name not in here]
    return Match(layout, here, beside, [name for name in inputs if name not in here], others)


def _find(spellings: list[str], found: dict[str, str]) -> str | None:
    return next((found[key(name)] for name in spellings if key(name) in found), None)


def _due(layout: Layout) -> dict[str, list[str]]:
    return {name: own for name, own in layout.spellings().items() if name not in layout.optional}


def _missing(layout: Layout, found: dict[str, str]) -> list[str]:
    return [name for name, spellings in _due(layout).items() if _find(spellings, found) is None]


def _complaint(layout: Layout, missing: list[str], header: list[str], wanted: str, where: str) -> str:
    if wanted == "auto" and len(missing) > len(_due(layout)) // 2:
        few = ", ".join(repr(name[:40]) for name in header[:6])
        return f"{where}: no known table (columns {few}, …): known are {', '.join(NAMES)}; say which with --format"
    known = {key(name) for spellings in layout.spellings().values() for name in spellings}
    other = {key(name): name for name in header if key(name) not in known}
    hints = []
    for name in missing[:5]:
        close = difflib.get_close_matches(key(name), other, 1)
        hints.append(f"{name!r}" + (f" (is it {other[close[0]]!r}?)" if close else ""))
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return f"{where}: {layout.title} columns are missing: {', '.join(hints)}{more}"
