"""Puts the page together and writes it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganglion_trainer import dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import read_json
from ganglion_trainer.progress import say
from ganglion_trainer.report import evidence, html, origin, overview
from ganglion_trainer.report.results import Comparison, Scores, read
from ganglion_trainer.report.subject import Result, Subject

TITLE = "Ganglion: detection report"


@dataclass(frozen=True)
class Request:
    """What goes into the page, and where it goes."""

    comparisons: list[Path]
    output: Path
    # Data sets behind the comparisons, told apart by their digests.
    data: list[Path] = field(default_factory=list)
    # What `ganglion model bench --json` wrote.
    bench: list[Path] = field(default_factory=list)
    figures: Path | None = None
    title: str = TITLE


def build(request: Request) -> list[Path]:
    """Writes page and pictures; their paths."""
    if not request.comparisons:
        raise TrainerError("no comparisons given")
    folder = request.figures or request.output.with_name(f"{request.output.stem}-figures")
    written: list[Path] = []
    found = [read(path) for path in request.comparisons]
    names = _names(request.comparisons)
    data = {own.digest: own for own in map(dataset.read, request.data)}
    bench = _bench(request.bench)
    parts, links = [], []
    for place, (name, own) in enumerate(zip(names, found, strict=True)):
        say(f"report: {name}")
        anchor = f"c{place + 1}"
        files = folder / name if len(found) > 1 else folder

        def save(of: str, png: bytes, files: Path = files) -> None:
            written.append(_write(files / f"{of}.png", png))

        known = data.get(str(own.about["dataset_digest"]))
        subject = Subject(name, own, known, bench, save)
        made = _comparison(subject, anchor)
        parts.append(made[0])
        links += made[1] if len(found) == 1 else [(anchor, name), *made[1]]
    lead = "Models held against each other on the same rows, the same folds and the same effort. "
    lead += "Every figure is of rows that the model had not seen."
    body = html.heading(1, request.title) + html.paragraph(lead, "lead") + html.links(links) + "".join(parts)
    _write(request.output, html.page(request.title, body).encode())
    return [request.output, *written]


def _comparison(subject: Subject, anchor: str) -> tuple[str, list[tuple[str, str]]]:
    scored = _scored(subject.comparison)
    of: list[tuple[str, str]] = [
        ("Models", overview.models(subject)),
        ("Per class", overview.per_class(subject)),
        ("Confusion", overview.mistakes(subject)),
        ("ROC and precision", evidence.ranking(subject, scored) if scored else ""),
        ("Calibration", evidence.calibration(subject, scored) if scored else ""),
        ("Unknown attacks", evidence.unknown(subject)),
        ("Training", evidence.training(subject)),
        ("Steps and precision", evidence.steps(subject)),
        ("Features", evidence.importance(subject)),
        ("Stages of a flow", evidence.stages(subject, scored)),
        ("Where this comes from", origin.origin(subject)),
    ]
    parts = [html.heading(2, subject.name, anchor), overview.summary(subject)]
    links = []
    for place, (name, inside) in enumerate(of):
        if inside:
            links.append((f"{anchor}-{place}", name))
            parts += [html.heading(3, name, f"{anchor}-{place}"), inside]
    missing = [name for name, inside in of if not inside]
    if missing:
        parts.append(html.paragraph(f"Not in these results: {', '.join(missing).lower()}.", "note"))
    return "".join(parts), links


def _scored(comparison: Comparison) -> list[tuple[Result, Scores]]:
    """Every classifier on the first split with its scores, the diffusion model first."""
    results = comparison.of(comparison.splits()[0])
    results.sort(key=lambda own: comparison.models().index(str(own["model"])))
    return [(own, comparison.scores(own)) for own in results if own.get("oof")]


def _names(folders: list[Path]) -> list[str]:
    """A name per comparison: its folder's, with the parent's where two are alike."""
    short = [path.resolve().name for path in folders]
    if len(set(short)) == len(short):
        return short
    return [f"{path.resolve().parent.name}-{path.resolve().name}-{place + 1}" for place, path in enumerate(folders)]


def _bench(paths: list[Path]) -> dict[str, float]:
    """Flows per second by model. A file tells of one model or, in `runs`, of several."""
    speeds: dict[str, float] = {}
    for path in paths:
        value = read_json(path)
        runs: Any = value.get("runs", [value])
        known = [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []
        own = {str(run["model"]): float(run["flows_per_s"]) for run in known if _tells(run)}
        if not own:
            raise TrainerError(f"{path}: neither `model` and `flows_per_s` nor `runs` of them")
        speeds |= own
    return speeds


def _tells(run: dict[str, Any]) -> bool:
    speed = run.get("flows_per_s")
    return isinstance(run.get("model"), str) and isinstance(speed, int | float) and not isinstance(speed, bool)


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    return path
