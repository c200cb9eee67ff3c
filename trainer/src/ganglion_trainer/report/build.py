"""Puts the page together and writes it."""

from dataclasses import dataclass, field
from pathlib import Path

from ganglion_trainer import dataset
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.evaluate import Trained
from ganglion_trainer.progress import say
from ganglion_trainer.report import evidence, explained, html, origin, overview, speed
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
    # What `ganglion model bench --json` wrote, and what `explain` wrote.
    bench: list[Path] = field(default_factory=list)
    explained: list[Path] = field(default_factory=list)
    # Models as `train --model` wrote them, for their curves.
    trained: list[Path] = field(default_factory=list)
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
    benches = [speed.read(path) for path in request.bench]
    explanations = [explained.read(path) for path in request.explained]
    models = [Trained(path) for path in request.trained]
    parts, links = [], []
    for place, (name, own) in enumerate(zip(names, found, strict=True)):
        say(f"report: {name}")
        anchor = f"c{place + 1}"
        files = folder / name if len(found) > 1 else folder

        def save(of: str, png: bytes, files: Path = files) -> None:
            written.append(_write(files / f"{of}.png", png))

        digest = str(own.about["dataset_digest"])
        measured = [bench for bench in benches if bench.dataset_digest == digest]
        told = [of for of in explanations if of.dataset_digest == digest]
        learned = [model for model in models if model.about["dataset_digest"] == digest]
        subject = Subject(name, own, data.get(digest), measured, told, learned, save)
        made = _comparison(subject, anchor)
        parts.append(made[0])
        links += made[1] if len(found) == 1 else [(anchor, name), *made[1]]
    digests = {str(own.about["dataset_digest"]) for own in found}
    others = [own for own in benches if own.dataset_digest not in digests]
    if others:
        links.append(("others", "Other bundles"))
        parts += [html.heading(2, "Other bundles in the brain", "others"), speed.section(others)]
    stray = [own.model for own in explanations if own.dataset_digest not in digests]
    stray += [str(own.folder) for own in models if own.about["dataset_digest"] not in digests]
    if stray:
        raise TrainerError(f"{', '.join(stray)}: of other data sets than the comparisons")
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
        ("Speed in the brain", speed.section(subject.benches)),
        ("Steps and precision", evidence.steps(subject)),
        ("Features", explained.section(subject, subject.explained)),
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


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise TrainerError(f"{path}: {error.strerror}") from error
    return path
