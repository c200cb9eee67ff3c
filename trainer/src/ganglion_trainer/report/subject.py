"""What a part of the page is about, and how its numbers are written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganglion_trainer.dataset import Dataset
from ganglion_trainer.report import html
from ganglion_trainer.report.results import DIFFUSION, Comparison

if TYPE_CHECKING:
    from ganglion_trainer.evaluate import Trained
    from ganglion_trainer.report.explained import Explained
    from ganglion_trainer.report.speed import Bench

# Macro F1 that the diffusion classifier must reach on stratified folds of the corrected CICIDS2017 sample.
BAR = 0.985
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
Result = dict[str, Any]
Save = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Subject:
    """A comparison, the data behind it, and where pictures go."""

    name: str
    comparison: Comparison
    data: Dataset | None
    # Of models that learned from this data set.
    benches: "list[Bench]"
    explained: "list[Explained]"
    trained: "list[Trained]"
    save: Save

    def flows_per_s(self, model: str) -> float | None:
        """The model's speed in the brain, its fastest way."""
        found = [own.best.rows_per_s for own in self.benches if own.model == model]
        return max(found) if found else None

    def picture(self, of: str, png: bytes, alt: str, caption: str = "") -> str:
        """Saves a picture and puts it into the page."""
        self.save(of, png)
        return html.picture(png, alt, caption)

    def pair(self) -> list[Result]:
        """On the first split: the diffusion model and the best other, or the two best."""
        results = self.comparison.of(self.comparison.splits()[0])
        first = next((own for own in results if own["model"] == DIFFUSION), results[0])
        others = [own for own in results if own is not first and own["family"] != "vote"]
        return [first, *others[:1]]


def number(value: object, digits: int = 4) -> str:
    """A score, or a dash."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def amount(value: object, unit: str = "") -> str:
    """A size, in thousands."""
    if not isinstance(value, int | float):
        return "–"
    for factor, letter in _UNITS:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {letter}{unit}"
    return f"{value:g} {unit}".strip()


def spaced(value: int) -> str:
    """A count of rows."""
    return f"{value:,}".replace(",", "\u202f")


def interval(own: Result) -> str:
    """The interval of a macro F1."""
    return f"{own['macro_f1_low']:.4f}–{own['macro_f1_high']:.4f}"
