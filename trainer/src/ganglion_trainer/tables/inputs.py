"""A batch's inputs: numbers as they are, names as 0 or 1, letters counted."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from ganglion_trainer.tables import cells
from ganglion_trainer.tables.cells import F64, Numbers
from ganglion_trainer.tables.layout import PORT, Category, Layout, Letters, Match

OTHER = "other"


def names(found: Match, with_ports: bool) -> list[str]:
    """What the inputs are called, in order."""
    made: list[str] = list(found.numbers())
    for name in found.inputs:
        if name in found.layout.categories:
            made += [f"{name}={value}" for value in [*found.layout.categories[name].values, OTHER]]
    for name in found.inputs:
        if name in found.layout.letters:
            made += _letter_names(name, found.layout.letters[name])
    return [*made, PORT] if with_ports else made


def _letter_names(name: str, of: Letters) -> list[str]:
    sides = (" forward ", " backward ") if of.split else (" ",)
    return [f"{name}{side}{letter}" for side in sides for letter in of.letters]


def read(columns: Mapping[str, pa.Array], found: Match, with_ports: bool, where: str) -> Iterator[tuple[str, Numbers]]:
    """The inputs in that order, each with the file's column that it comes from."""
    layout = found.layout
    for column in found.numbers().values():
        yield column, cells.numbers(columns[column], f"{where}: column {column!r}", layout.unset)
    for name, column in found.inputs.items():
        if name in layout.categories:
            yield from _named(columns[column], layout.categories[name], column, where)
    for name, column in found.inputs.items():
        if name in layout.letters:
            yield from _lettered(columns[column], layout.letters[name], column, where)
    if with_ports:
        column = found.meta["destination_port"]
        yield column, _port(columns[column], column, layout, where)


def _port(column: pa.Array, name: str, layout: Layout, where: str) -> Numbers:
    return cells.numbers(column, f"{where}: column {name!r}", layout.unset | {""})


def _known(values: F64) -> Numbers:
    return Numbers(values, np.zeros(len(values), dtype=bool), "")


def _named(column: pa.Array, of: Category, name: str, where: str) -> list[tuple[str, Numbers]]:
    distinct, number = cells.texts(column, f"{where}: column {name!r}")
    own = [text.casefold() for text in [*distinct, ""]]
    known = [value.casefold() for value in of.values]
    flags = [np.array([text == value for text in own], dtype=np.float64) for value in known]
    flags.append(np.array([text not in known for text in own], dtype=np.float64))
    return [(name, _known(flag[number])) for flag in flags]


def _lettered(column: pa.Array, of: Letters, name: str, where: str) -> list[tuple[str, Numbers]]:
    distinct, number = cells.texts(column, f"{where}: column {name!r}")
    sides: list[list[str]] = [[*distinct, ""]]
    if of.split:
        parts = [text.split(of.split, 1) if of.split in text else ["", ""] for text in [*distinct, ""]]
        sides = [[part[side] for part in parts] for side in (0, 1)]
    counts = [
        np.array([text.count(letter) for text in side], dtype=np.float64) for side in sides for letter in of.letters
    ]
    return [(name, _known(count[number])) for count in counts]
