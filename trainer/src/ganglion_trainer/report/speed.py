"""What `ganglion model bench --json` measured: the brain's own speed, read as the brain writes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganglion_trainer.errors import TrainerError
from ganglion_trainer.files import field, read_json
from ganglion_trainer.report import html
from ganglion_trainer.report.html import Cell, Table
from ganglion_trainer.report.results import DIFFUSION, title
from ganglion_trainer.report.subject import amount, spaced

_NUMBER = (int, float)


@dataclass(frozen=True)
class Speed:
    """One way of running it."""

    bundle: str
    sessions: int
    intra_threads: int
    batch: int
    rows_per_s: float
    p50_us: float
    p99_us: float

    @property
    def cores(self) -> int:
        """As many as work at once."""
        return self.sessions * self.intra_threads


@dataclass(frozen=True)
class Latency:
    """Single flows at a steady rate."""

    rate_per_s: int
    flows: int
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True)
class Bench:
    """One file."""

    bundle: str
    # What the manifest says of the training; none in bundles that do not say.
    model: str | None
    parameters: int | None
    dataset_digest: str | None
    provider: str
    rows: int
    data: str | None
    speed: list[Speed]
    latency: Latency | None

    @property
    def best(self) -> Speed:
        """The fastest way of its own bundle."""
        return max((own for own in self.speed if own.bundle == self.bundle), key=lambda own: own.rows_per_s)


def read(path: Path) -> Bench:
    """Reads and checks a file."""
    value, where = read_json(path), str(path)
    bundle: str = field(value, "bundle", str, where)
    trained: dict[str, Any] = field(value, "trained", dict, where)
    ways: list[Any] = field(value, "speed", list, where)
    speed = [_speed(own, f"{path}: speed") for own in ways]
    if not any(own.bundle == bundle for own in speed):
        raise TrainerError(f"{path}: `speed` holds nothing of {bundle!r}")
    none = type(None)
    latency = field(value, "latency", (dict, none), where)
    return Bench(
        bundle,
        field(trained, "model", (str, none), f"{path}: trained"),
        field(trained, "parameters", (int, none), f"{path}: trained"),
        field(trained, "dataset_digest", (str, none), f"{path}: trained"),
        field(value, "provider", str, where),
        field(value, "rows", int, where),
        field(value, "data", (str, none), where),
        speed,
        _latency(latency, f"{path}: latency") if latency is not None else None,
    )


def _speed(of: Any, where: str) -> Speed:  # noqa: ANN401
    if not isinstance(of, dict):
        raise TrainerError(f"{where} holds a {type(of).__name__}, not only objects")
    counts = (field(of, name, int, where) for name in ("sessions", "intra_threads", "batch"))
    figures = (float(field(of, name, _NUMBER, where)) for name in ("rows_per_s", "p50_us", "p99_us"))
    return Speed(field(of, "bundle", str, where), *counts, *figures)


def _latency(of: dict[str, Any], where: str) -> Latency:
    counts = (field(of, name, int, where) for name in ("rate_per_s", "flows"))
    return Latency(*counts, *(float(field(of, name, _NUMBER, where)) for name in ("p50_us", "p99_us", "max_us")))


def section(benches: list[Bench]) -> str:
    """The fastest way at each number of rows, and single flows; all ways to be opened."""
    if not benches:
        return ""
    ordered = sorted(benches, key=lambda own: -own.best.rows_per_s)
    batches = sorted({way.batch for own in benches for way in own.speed})
    head = ["model", "bundle", "parameters", *(f"{spaced(batch)} at once" for batch in batches)]
    table = Table(
        [*head, "one flow: p50", "p99", "longest"],
        "Flows a second by rows at once, the fastest way each; and the time of single flows",
        texts=frozenset({1}),
    )
    for own in ordered:
        cells: list[Cell | str] = [Cell(own.bundle, kind="text"), amount(own.parameters)]
        for batch in batches:
            found = [way for way in own.speed if way.bundle == own.bundle and way.batch == batch]
            fastest = max(found, key=lambda way: way.rows_per_s, default=None)
            text = "–" if fastest is None else spaced(round(fastest.rows_per_s))
            cells.append(Cell(text, kind="best" if fastest is own.best else ""))
        single = own.latency
        cells += ["–"] * 3 if single is None else [_time(us) for us in (single.p50_us, single.p99_us, single.max_us)]
        table.add(title(own.model) if own.model else own.bundle, cells, "ours" if own.model == DIFFUSION else "")
    opened = "".join(html.details(f"{own.bundle}: all ways", str(_ways(own))) for own in ordered)
    return str(table) + html.paragraph(_of(benches), "note") + opened


def _ways(of: Bench) -> Table:
    head = ["bundle", "cores", "how", "rows at once", "flows/s", "a batch: p50", "p99"]
    table = Table(head, "Every way that was measured", texts=frozenset({2}))
    for own in of.speed:
        cells: list[Cell | str] = [
            str(own.cores),
            Cell(_how(own), kind="text"),
            spaced(own.batch),
            Cell(spaced(round(own.rows_per_s)), kind="best" if own is of.best else ""),
            _time(own.p50_us),
            _time(own.p99_us),
        ]
        table.add(own.bundle, cells)
    return table


def _how(own: Speed) -> str:
    if own.cores == 1:
        return "one thread"
    if own.intra_threads == 1:
        return f"{own.sessions} sessions, a piece of the batch each"
    return f"{own.intra_threads} threads in a session" if own.sessions == 1 else f"{own.sessions} × {own.intra_threads}"


def _time(us: float) -> str:
    return f"{us:.0f} µs" if us < 10_000 else f"{us / 1000:.1f} ms"


def _of(benches: list[Bench]) -> str:
    where = ", ".join(sorted({own.provider for own in benches}))
    cores = max(way.cores for own in benches for way in own.speed)
    text = f"By `ganglion model bench`: {where}, {'one core' if cores == 1 else f'up to {cores} cores'}"
    rows = [f"{spaced(own.rows)} rows {f'of {own.data}' if own.data else 'made up from the bundle'}" for own in benches]
    text += f"; {', '.join(dict.fromkeys(rows))}."
    rates = sorted({spaced(own.latency.rate_per_s) for own in benches if own.latency is not None})
    if rates:
        text += f" Single flows: {' or '.join(rates)} offered a second, from when each was due to its scores."
    return text
