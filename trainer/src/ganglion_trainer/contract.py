"""What every model of the comparison is: fitted on rows, scores rows, becomes ONNX."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx

from ganglion_trainer.derived import F32, I64
from ganglion_trainer.inputs import F64
from ganglion_trainer.watched import Watched

Hyper = dict[str, Any]


# Looks whose names begin so are compared, but no rule is chosen from them.
ONLY_SHOWN = "~"


@dataclass(frozen=True)
class Rows:
    """Training rows: nothing else may shape a model."""

    x: F32
    # Number into the classes that the model knows.
    y: I64
    classes: int
    # Which of them is Benign.
    benign: int
    features: tuple[str, ...]
    # Where curves are taken; shapes no model.
    watched: Watched | None = None

    def weights(self, evenness: float) -> F64:
        """Of rows, so that classes count by their rows to this power: 0 evenly, 1 as they come. Mean 1."""
        counts = np.bincount(self.y, minlength=self.classes).astype(np.float64)
        weight = np.where(counts > 0, np.maximum(counts, 1) ** (evenness - 1), 0.0)[self.y]
        return np.asarray(weight / weight.mean())

    def take(self, at: I64) -> "Rows":
        """Some of the rows."""
        return Rows(np.ascontiguousarray(self.x[at]), self.y[at], self.classes, self.benign, self.features)


class Fitted(Protocol):
    """A trained model."""

    def score(self, x: F32) -> tuple[F32, F32]:
        """Probabilities of the classes, uncalibrated, and how unusual each row is."""

    def looks(self, x: F32) -> dict[str, F32]:
        """Scores of unusual rows that a frozen rule may choose from, by name."""

    def onnx(self) -> onnx.ModelProto:
        """The same by the brain's contract, from raw columns on."""

    def parameters(self) -> int:
        """Numbers it learned: weights, or splits and leaves."""


class Maker(Protocol):
    """A kind of model."""

    @property
    def family(self) -> str:
        """`diffusion`, `tabular`, `sequence`, `anomaly` or `vote`."""

    def draw(self, random: np.random.Generator) -> Hyper:
        """Hyper-parameters of a search trial."""

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Trains; `effort` below 1 trains less, for search trials."""


def unsure(probabilities: F32) -> F32:
    """Class evidence that a row is unusual: no class is likely."""
    return np.asarray(1 - probabilities.max(axis=1), dtype=np.float32)


def evidence(probabilities: F32, benign: int) -> dict[str, F32]:
    """What a classifier's probabilities say of unusual rows."""
    not_benign = np.asarray(1 - probabilities[:, benign], dtype=np.float32)
    return {"1 - max p": unsure(probabilities), "1 - p(Benign)": not_benign}


def curve(fitted: Fitted) -> dict[str, list[float]] | None:
    """How its training went, where it was noted: lists of one length by name, `update` among them."""
    noted: dict[str, list[float]] | None = getattr(fitted, "curve", None)
    return {key: [round(value, 5) for value in values] for key, values in noted.items()} if noted else None
