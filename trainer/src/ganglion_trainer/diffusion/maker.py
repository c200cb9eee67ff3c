"""The diffusion model as one of the models compared."""

from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from ganglion_trainer.contract import ONLY_SHOWN, Fitted, Hyper, Rows
from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion import fit, settings
from ganglion_trainer.diffusion.detector import Detector, Rule
from ganglion_trainer.diffusion.export import to_onnx
from ganglion_trainer.diffusion.net import parameters


@dataclass(frozen=True)
class Diffusion:
    """Maker of detectors."""

    settings: settings.Settings
    rule: Rule = field(default_factory=Rule)
    family: str = "diffusion"

    def draw(self, random: np.random.Generator) -> Hyper:
        """Learning rate and weight decay."""
        return {
            "learning_rate": float(random.choice([2e-3, 4e-3])),
            "weight_decay": float(random.choice([0.01, 0.05])),
        }

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Trains the network, then learns from benign rows what is usual."""
        own = settings.of(hyper, self.settings)
        own = replace(own, updates=max(10, round(own.updates * effort)))
        trained = fit.fit(rows.x, rows.y, rows.classes, rows.benign, own, seed, watched=rows.watched)
        benign = rows.x[rows.y == rows.benign]
        return Model(Detector(trained, self.rule).settle(benign), benign)


# Weights of the row's distance, of rebuilding and of the odds, beside 1 of the embedding's distance.
RULES = tuple(
    (rows, rebuilding, odds)
    for rows in (0.0, 1.0, 2.0, 4.0, 8.0)
    for rebuilding in (0.3, 1.0)
    for odds in (0.0, 0.1, 0.3)
)
# Numbers of DDIM steps that are compared; each starts so late that a step takes away as much noise as a single one.
STEPS = (1, 2, 4, 8)
START = 30
SHOWN = ((8.0, 0.3, 0.0), (8.0, 1.0, 0.0))


def _weighed(found: F32, weights: tuple[float, float, float]) -> F32:
    return np.asarray(found @ np.array([1.0, *weights], dtype=np.float32), dtype=np.float32)


def rule_name(rows: float, rebuilding: float, odds: float) -> str:
    """How reports call a rule."""
    return f"embedding + {rows:g} row + {rebuilding:g} rebuilding + {odds:g} odds"


class Model:
    """A trained detector."""

    def __init__(self, detector: Detector, benign: F32) -> None:
        self.detector, self.benign = detector, benign
        self.curve = {key: values for key, values in vars(detector.trained.curve).items() if values}

    def score(self, x: F32) -> tuple[F32, F32]:
        """Probabilities and anomaly."""
        return self.detector.score(x)

    def looks(self, x: F32) -> dict[str, F32]:
        """The rules that one is chosen from; with other numbers of steps to compare."""
        found = self.detector.evidence(x)
        looks = {rule_name(*own): _weighed(found, own) for own in RULES}
        for steps, other in self.with_steps().items():
            if steps != self.detector.rule.steps:
                seen = other.detector.evidence(x)
                looks |= {f"{ONLY_SHOWN}{steps} steps: {rule_name(*own)}": _weighed(seen, own) for own in SHOWN}
        return looks

    def with_steps(self) -> "dict[int, Model]":
        """The same network with other numbers of DDIM steps, each settled anew."""
        found = {}
        for steps in STEPS:
            rule = replace(self.detector.rule, steps=steps, start=START * steps)
            found[steps] = Model(Detector(self.detector.trained, rule).settle(self.benign), self.benign)
        return found

    def parameters(self) -> int:
        """Weights of the network."""
        return parameters(self.detector.net)

    def onnx(self) -> onnx.ModelProto:
        """By the contract."""
        return to_onnx(self.detector)
