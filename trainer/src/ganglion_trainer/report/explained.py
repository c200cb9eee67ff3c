"""What `ganglion-trainer explain` found: which inputs move a model's answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganglion_trainer.classes import NAMES
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.explain import FORMAT
from ganglion_trainer.files import field, read_json
from ganglion_trainer.report import figures, html
from ganglion_trainer.report.html import Table
from ganglion_trainer.report.results import title
from ganglion_trainer.report.subject import Subject

# Features that are named of each class.
_NAMED = 5
Weights = list[tuple[str, float]]


@dataclass(frozen=True)
class Explained:
    """One file."""

    model: str
    dataset_digest: str
    method: str
    # The most important first.
    features: Weights
    classes: dict[str, Weights]
    rows: dict[str, int]


def read(path: Path) -> Explained:
    """Reads and checks a file."""
    value, where = read_json(path), str(path)
    if field(value, "format", int, where) != FORMAT:
        raise TrainerError(f"{path}: format {value['format']}, this program reads format {FORMAT}: explain anew")
    of: dict[str, Any] = field(value, "classes", dict, where)
    for name, own in of.items():
        if name not in NAMES or not isinstance(own, dict):
            raise TrainerError(f"{path}: {name!r} is no class with its features")
    return Explained(
        field(value, "model", str, where),
        field(value, "dataset_digest", str, where),
        field(value, "method", str, where),
        _weights(value, where),
        {name: _weights(own, f"{path}: {name}") for name, own in of.items()},
        {name: field(own, "rows", int, f"{path}: {name}") for name, own in of.items()},
    )


def _weights(of: dict[str, Any], where: str) -> Weights:
    found = []
    for pair in field(of, "features", list, where):
        match pair:
            case [str(name), int(weight) | float(weight)]:
                found.append((name, float(weight)))
            case _:
                raise TrainerError(f"{where}: {str(pair)[:40]!r} is no name of a feature with its weight")
    return sorted(found, key=lambda own: -own[1])


def section(subject: Subject, found: list[Explained]) -> str:
    """Bars of each model, and what counts most for each class."""
    parts = []
    for own in found:
        png = figures.importance(title(own.model), own.features)
        name = f"Which inputs move the answers of {title(own.model)}"
        parts.append(subject.picture(f"importance-{own.model}", png, name))
    if not parts:
        return ""
    methods = "; ".join(dict.fromkeys(own.method for own in found))
    bars = f'<div class="pair">{"".join(parts)}</div>' + html.paragraph(
        f"Mean over classes of the absolute Shapley value of the class's probability ({methods}).", "note"
    )
    tables = []
    for own in found:
        table = Table(["class", "rows", "what moves its probability most"], title(own.model), texts=frozenset({2}))
        for name, weights in own.classes.items():
            most = ", ".join(f"{feature} {weight:.3f}" for feature, weight in weights[:_NAMED])
            table.add(name, [str(own.rows[name]), most])
        tables.append(html.details(f"{title(own.model)}: by class", str(table)))
    return bars + "".join(tables)
