"""MLP and CNN-1D over the columns, LSTM and CNN over the first packets."""

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import nn

from ganglion_trainer.contract import Fitted, Hyper, Rows, evidence, unsure
from ganglion_trainer.derived import F32, I64
from ganglion_trainer.diffusion import scaling
from ganglion_trainer.diffusion.net import parameters
from ganglion_trainer.emit import Emitter
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.inputs import F64
from ganglion_trainer.progress import bar
from ganglion_trainer.rivals import layers
from ganglion_trainer.rivals.trees import finish
from ganglion_trainer.watched import EVERY, Watched

_CHUNK = 4096
_BATCH = 384
_KNOTS = 16
# Per packet: its size, and the gap before it.
CHANNELS = ("first_size_", "first_gap_")
Layer = layers.Perceptron | layers.Convolutions | layers.Recurrent


@dataclass(frozen=True)
class Neural:
    """Maker of small networks on the same scaled columns as the diffusion model's."""

    name: str
    evenness: float
    updates: int
    family: str = "tabular"

    def draw(self, random: np.random.Generator) -> Hyper:
        """Width, learning rate and weight decay."""
        return {
            "width": int(random.choice([96, 192] if self.name == "mlp" else [24, 32])),
            "learning_rate": float(random.choice([1e-3, 3e-3])),
            "weight_decay": float(random.choice([0.003, 0.03])),
        }

    def fit(self, rows: Rows, hyper: Hyper, seed: int, effort: float) -> Fitted:
        """Trains by cross-entropy; classes are drawn by the common weights."""
        columns = self._columns(rows.features)
        scales = scaling.learn(np.ascontiguousarray(rows.x[:, columns]), _KNOTS)
        torch.manual_seed(seed)
        channels = len(CHANNELS) if self.family == "sequence" else 1
        width = hyper["width"]
        net: Layer
        if self.name == "mlp":
            net = layers.Perceptron(scales.width, [width, width // 2], rows.classes, 0.1)
        elif self.name == "lstm":
            net = layers.Recurrent(2 * channels, width, rows.classes)
        else:
            net = layers.Convolutions(2 * channels, width, rows.classes)
        made = _Net(net, scales, rows, columns)
        made.train(rows, rows.weights(self.evenness), hyper, max(20, round(self.updates * effort)))
        return made

    def _columns(self, features: tuple[str, ...]) -> I64:
        if self.family != "sequence":
            return np.arange(len(features))
        places = [_packets(features, channel) for channel in CHANNELS]
        # What is constant is left out of a data set: the gap before the first packet is always 0.
        common = sorted(set.intersection(*(set(of) for of in places)))
        if not common:
            raise TrainerError(f"{self.name} reads first packets: the data set has no columns {CHANNELS[0]}2, …")
        found = [of[packet] for of in places for packet in common]
        return np.array(found, dtype=np.int64)


def _packets(features: tuple[str, ...], channel: str) -> dict[int, int]:
    """The columns of one channel, by the number of their packet."""
    numbers = ((name.removeprefix(channel), at) for at, name in enumerate(features) if name.startswith(channel))
    return {int(packet): at for packet, at in numbers if packet.isdigit()}


class _Net:
    def __init__(self, net: Layer, scales: scaling.Scales, rows: Rows, columns: I64) -> None:
        self.net, self.scales, self.classes, self.benign = net, scales, rows.classes, rows.benign
        self.columns, self.width = columns, rows.x.shape[1]
        self.scaling = scaling.Scaling(scales)
        self.curve: dict[str, list[float]] = {}

    def rows(self, x: F32) -> torch.Tensor:
        own = np.ascontiguousarray(x[:, self.columns])
        with torch.no_grad():
            parts = [self.scaling(torch.from_numpy(own[at : at + _CHUNK])) for at in range(0, max(len(x), 1), _CHUNK)]
        return torch.cat(parts)

    def train(self, rows: Rows, weights: F64, hyper: Hyper, updates: int) -> None:
        """Cross-entropy on rows drawn by weight, the learning rate down a cosine."""
        z, y, net = self.rows(rows.x), torch.from_numpy(rows.y), self.net
        chance = torch.from_numpy(np.cumsum(weights))
        rate = hyper["learning_rate"]
        own = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=hyper["weight_decay"], fused=True)
        cool = torch.optim.lr_scheduler.OneCycleLR(own, rate, total_steps=updates, pct_start=0.2)
        net.train()
        with bar(updates, type(net).__name__) as tick:
            for update in range(updates):
                at = torch.searchsorted(chance, torch.rand(_BATCH, dtype=torch.float64) * chance[-1])
                at = at.clamp_max(len(y) - 1)
                loss = nn.functional.cross_entropy(net(z[at]), y[at], label_smoothing=0.02)
                own.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                own.step()
                cool.step()
                if update % EVERY == 0 or update + 1 == updates:
                    self._note(update, float(loss.detach()), rows.watched)
                tick()

    def _note(self, update: int, loss: float, watched: Watched | None) -> None:
        noted: dict[str, float] = {"update": update, "cross_entropy": loss}
        if watched is not None:
            found = self.score(watched.x)[0]
            self.net.train()
            noted |= {"held_cross_entropy": watched.loss(found), "held_auc": watched.auc(found)}
        for key, value in noted.items():
            self.curve.setdefault(key, []).append(value)

    def score(self, x: F32) -> tuple[F32, F32]:
        self.net.eval()
        with torch.no_grad():
            rows = self.rows(x)
            parts = [self.net(rows[at : at + _CHUNK]) for at in range(0, max(len(x), 1), _CHUNK)]
            found: F32 = torch.softmax(torch.cat(parts), dim=1).numpy()
        return found, unsure(found)

    def looks(self, x: F32) -> dict[str, F32]:
        return evidence(self.score(x)[0], self.benign)

    def parameters(self) -> int:
        return parameters(self.net)

    def onnx(self) -> onnx.ModelProto:
        made = Emitter()
        x = "features"
        if len(self.columns) != self.width:
            x = made.node("Gather", x, made.constant(self.columns), axis=1)
        logits = self.net.emit(made, layers.scale(made, self.scales, x))
        return finish(made, made.node("Softmax", logits, axis=1), self.width, self.classes)
