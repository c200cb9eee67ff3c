"""What ships: class probabilities, anomaly score and embedding of raw rows, with K unrolled DDIM steps.

Two looks at a row. The clean one tells its class, and how far row and embedding are from benign ones. The other
adds a constant noise, removes it in K steps and measures how far the row that comes out is from the one that went in,
column by column in units of what benign training rows miss. One rule joins all; it is frozen on validation rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion import net, prototypes, scaling, schedule
from ganglion_trainer.diffusion.fit import Trained

_CHUNK = 4096
# Errors of a column are not taken for smaller than this, against the mean square of standardised columns of 1.
LEAST_ERROR = 1e-3
# Deviations of prototypes are not taken for smaller than this: of bottlenecks, and of scaled columns.
_LEAST_EMBEDDING, _LEAST_ROW = 1e-3, 0.1
# Of the noise constant; part of the model.
_NOISE_SEED = 20_240_607


@dataclass(frozen=True)
class Rule:
    """How the looks become one score, the same for all classes."""

    # DDIM steps, and the time they start from.
    steps: int = 1
    start: int = 30
    # Weights in the score, beside the embedding's distance, whose weight is 1: of the row's distance, of rebuilding
    # and of the logits' odds.
    rows: float = 8.0
    rebuilding: float = 0.3
    odds: float = 0.0
    # Benign prototypes of the embedding, and of rows.
    prototypes: int = 512
    row_prototypes: int = 256
    temperature: float = 1.0


@dataclass(frozen=True)
class Looks:
    """What is seen of rows."""

    clean: Tensor
    logits: Tensor
    # Bottlenecks: of the clean row, and of the noisy one at the first step.
    embedding: Tensor
    noisy: Tensor
    # Squared differences between rebuilt and given rows, by scaled column.
    missed: Tensor


class Detector(nn.Module):
    """The model by the ONNX contract."""

    noise: Tensor

    def __init__(self, trained: Trained, rule: Rule) -> None:
        super().__init__()
        self.trained, self.rule = trained, rule
        self.scaling = scaling.Scaling(trained.scales)
        self.net: net.UNetFC = trained.net
        self.shares = schedule.kept(trained.settings.noise_steps)
        self.register_buffer("noise", constant_noise(trained.scales.width))
        self.known: prototypes.Prototypes | None = None
        self.known_rows: prototypes.Prototypes | None = None
        self.precision: F32 = np.ones(trained.scales.width, dtype=np.float32)
        # Middle and spread over benign training rows: of both distances, error, odds.
        self.middle: F32 = np.zeros(4, dtype=np.float32)
        self.spread: F32 = np.ones(4, dtype=np.float32)
        self.eval()

    @property
    def times(self) -> list[int]:
        """The times of the DDIM steps, the latest first."""
        return schedule.ladder(self.rule.start, self.rule.steps)

    def look(self, x: F32) -> Looks:
        """Both looks at raw rows."""
        parts = []
        with torch.no_grad():
            for at in range(0, max(len(x), 1), _CHUNK):
                clean = self.scaling(torch.from_numpy(x[at : at + _CHUNK]))
                none = self.net.time(torch.zeros(1, dtype=torch.long)).expand(len(clean), -1)
                embedding, _ = self.net.encode(clean, none)
                rebuilt, noisy = self.rebuild(clean)
                parts.append((clean, self.net.head(embedding), embedding, noisy, (rebuilt - clean) ** 2))
        return Looks(*(torch.cat([part[number] for part in parts]) for number in range(5)))

    def rebuild(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the constant noise and removes it again, step by step; the row, and the first step's bottleneck."""
        first = torch.zeros(0)
        times = self.times
        share = torch.full((len(clean),), float(self.shares[times[0]]))
        rows = schedule.noised(clean, self.noise.expand_as(clean), share)
        for at, then in zip(times, [*times[1:], 0], strict=True):
            noise, _, bottleneck = self.net(rows, torch.full((len(clean),), at))
            first = bottleneck if at == times[0] else first
            rows = schedule.ddim_step(rows, noise, float(self.shares[at]), float(self.shares[then]))
        return rows, first

    def settle(self, benign: F32) -> "Detector":
        """Learns from benign training rows what is usual."""
        looks = self.look(benign)
        self.known = prototypes.learn(_both(looks), self.rule.prototypes, _LEAST_EMBEDDING, 1)
        self.known_rows = prototypes.learn(looks.clean.numpy(), self.rule.row_prototypes, _LEAST_ROW, 1)
        missed: F32 = looks.missed.numpy()
        scale = missed.mean(axis=0) + LEAST_ERROR * float(missed.mean())
        self.precision = (1.0 / np.maximum(scale, 1e-12)).astype(np.float32)
        parts = self._parts(looks)
        self.middle, self.spread = parts.mean(axis=0), parts.std(axis=0) + np.float32(1e-6)
        return self

    def _parts(self, looks: Looks) -> F32:
        """Both distances, error and odds per row, as they come."""
        assert self.known is not None
        assert self.known_rows is not None
        missed: F32 = looks.missed.numpy()
        error = np.log((missed * self.precision).mean(axis=1) + LEAST_ERROR)
        odds: F32 = against(looks.logits, self.trained.benign).numpy()
        near, near_row = self.known.distance(_both(looks)), self.known_rows.distance(looks.clean.numpy())
        return np.stack([near, near_row, error, odds], axis=1).astype(np.float32)

    def evidence(self, x: F32) -> F32:
        """Both distances, error and odds per row, in units of their spread over benign rows."""
        return np.asarray((self._parts(self.look(x)) - self.middle) / self.spread)

    def weights(self) -> F32:
        """Of both distances, error and odds."""
        return np.array([1.0, self.rule.rows, self.rule.rebuilding, self.rule.odds], dtype=np.float32)

    def score(self, x: F32) -> tuple[F32, F32]:
        """Probabilities and anomaly of rows, as the graph gives them."""
        looks = self.look(x)
        logits = looks.logits[:, : self.trained.classes]
        anomaly = ((self._parts(looks) - self.middle) / self.spread) @ self.weights()
        return torch.softmax(logits / self.rule.temperature, dim=1).numpy(), anomaly.astype(np.float32)

    def with_rule(self, **changes: float) -> "Detector":
        """The same with another temperature or other weights."""
        made = Detector(self.trained, replace(self.rule, **changes))  # type: ignore[arg-type]
        made.known, made.known_rows, made.precision = self.known, self.known_rows, self.precision
        made.middle, made.spread = self.middle, self.spread
        return made


def _both(looks: Looks) -> F32:
    both: F32 = torch.cat([looks.embedding, looks.noisy], dim=1).numpy()
    return both


def against(logits: Tensor, benign: int) -> Tensor:
    """Logarithm of the odds that a row is anything but benign, known or not."""
    others = torch.cat([logits[:, :benign], logits[:, benign + 1 :]], dim=1)
    return torch.logsumexp(others, dim=1) - logits[:, benign]


def constant_noise(width: int) -> Tensor:
    """The same on every machine: from NumPy's generator, whose stream is fixed."""
    values: F32 = np.random.Generator(np.random.PCG64(_NOISE_SEED)).standard_normal(width).astype(np.float32)
    return torch.from_numpy(values / np.sqrt((values**2).mean())).reshape(1, width)
