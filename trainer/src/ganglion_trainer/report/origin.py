"""Where the figures come from: folds, settings, inputs, files."""

import json

from ganglion_trainer.dataset import Dataset
from ganglion_trainer.report import html
from ganglion_trainer.report.html import Table
from ganglion_trainer.report.results import title
from ganglion_trainer.report.subject import Subject, spaced


def origin(subject: Subject) -> str:
    """Where the figures come from."""
    own, parts = subject.comparison, []
    for split, about in (own.about.get("splits") or {}).items():
        count = int(about.get("folds", 0))
        table = Table(["class", *(f"fold {place + 1}" for place in range(count))], f"Rows per fold, {split}")
        for name, rows in about.get("rows", {}).items():
            table.add(name, [spaced(int(row)) for row in rows])
        parts.append(html.details(f"{split} folds", str(table)))
        if about.get("in_one_fold"):
            names = ", ".join(about["in_one_fold"])
            parts.append(
                html.paragraph(
                    f"{split.capitalize()}: all rows of {names} are in one fold: no model that judges them has learned "
                    "the class.",
                    "note",
                )
            )
    for result in own.of(own.splits()[0]):
        if result.get("hyper"):
            parts.append(
                html.details(
                    f"Settings of {title(str(result['model']))}", html.code(json.dumps(result["hyper"], indent=1))
                )
            )
    if own.about.get("features"):
        parts.append(
            html.details(f"{len(own.about['features'])} inputs", html.paragraph(", ".join(own.about["features"])))
        )
    if subject.data is not None and "files" in subject.data.report:
        parts.append(_files(subject.data))
    command = f"{own.about.get('command', '')}\ndata set {own.about['dataset_digest']}"
    return "".join(parts) + html.code(command)


def _files(data: Dataset) -> str:
    table = Table(
        ["table", "rows", "kept", "dropped", "sha256"], "What the data set was made of", texts=frozenset({3, 4})
    )
    for own in data.report["files"]:
        dropped = ", ".join(f"{count} {why}" for why, count in own["dropped"].items()) or "none"
        table.add(own["name"], [spaced(own["rows"]), spaced(own["kept"]), dropped[:200], own["sha256"][:16]])
    report = data.report
    found = f"Rows that repeat another: {report['duplicates']} (dropped); "
    found += f"equal inputs of another flow: {report['equal_features']} (kept); "
    found += f"equal inputs of another class: {report['contradicting']} (kept)."
    return str(table) + html.paragraph(found, "note")
