"""Layers of the small networks, in PyTorch and as ONNX nodes."""

from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganglion_trainer.diffusion.scaling import LIMIT, SPREAD, Scales
from ganglion_trainer.emit import Emitter


def array(value: Tensor) -> npt.NDArray[np.float32]:
    """A tensor's numbers."""
    return cast(npt.NDArray[np.float32], value.detach().cpu().numpy().astype(np.float32))


def scale(made: Emitter, scales: Scales, x: str = "features") -> str:
    """`Scaling` as nodes."""
    logs = made.mul(made.node("Sign", x), made.node("Log", made.add(made.node("Abs", x), 1.0)))
    weight = (1.0 / scales.deviation).astype(np.float32)
    standard = made.clip(made.mul(made.sub(logs, scales.mean), weight), -LIMIT, LIMIT)
    column = made.reshape(logs, [0, -1, 1])
    ramps = made.clip(made.mul(made.sub(column, scales.knots[None]), scales.slopes[None]), 0.0, 1.0)
    axis = made.constant(np.array([2], dtype=np.int64))
    rank = made.node("ReduceSum", made.mul(ramps, scales.heights[None]), axis, keepdims=0)
    spread = made.sub(made.mul(rank, SPREAD), SPREAD / 2)
    return made.node("Concat", standard, spread, axis=1)


def linear(made: Emitter, layer: nn.Linear, x: str) -> str:
    """A fully connected layer."""
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
    return made.linear(x, array(layer.weight), array(bias))


class Perceptron(nn.Module):
    """Fully connected layers."""

    def __init__(self, columns: int, widths: list[int], out: int, dropout: float) -> None:
        super().__init__()
        sizes = [columns, *widths]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.last = nn.Linear(sizes[-1], out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        for layer in self.layers:
            x = self.dropout(nn.functional.silu(layer(x)))
        out: Tensor = self.last(x)
        return out

    def emit(self, made: Emitter, x: str) -> str:
        """The same as nodes."""
        for layer in self.layers:
            x = made.silu(linear(made, cast(nn.Linear, layer), x))
        return linear(made, self.last, x)


class Convolutions(nn.Module):
    """Two convolutions along the columns or along the packets, the mean and the largest of each channel, a layer."""

    def __init__(self, channels: int, width: int, out: int) -> None:
        super().__init__()
        self.channels = channels
        self.first = nn.Conv1d(channels, width, 3, padding=1, stride=2)
        self.second = nn.Conv1d(width, width, 3, padding=1, stride=2)
        self.last = Perceptron(2 * width, [2 * width], out, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits; `x` holds one channel's values after the other's."""
        x = x.view(len(x), self.channels, -1)
        x = nn.functional.silu(self.second(nn.functional.silu(self.first(x))))
        out: Tensor = self.last(torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1))
        return out

    def emit(self, made: Emitter, x: str) -> str:
        """The same as nodes."""
        x = made.reshape(x, [0, self.channels, -1])
        for layer in (self.first, self.second):
            weight, bias = made.constant(array(layer.weight)), made.constant(array(cast(Tensor, layer.bias)))
            x = made.silu(made.node("Conv", x, weight, bias, pads=[1, 1], strides=[2], kernel_shape=[3]))
        axis = made.constant(np.array([2], dtype=np.int64))
        best = made.node("ReduceMax", x, axis, keepdims=0)
        return self.last.emit(made, made.node("Concat", made.mean(x, 2), best, axis=1))


class Recurrent(nn.Module):
    """An LSTM over packets; its last state, a layer."""

    def __init__(self, channels: int, width: int, out: int) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.lstm = nn.LSTM(channels, width, batch_first=True)
        self.last = Perceptron(width, [width], out, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits; `x` holds one channel's values after the other's."""
        _, (state, _) = self.lstm(x.view(len(x), self.channels, -1).transpose(1, 2))
        out: Tensor = self.last(state[0])
        return out

    def emit(self, made: Emitter, x: str) -> str:
        """The same as nodes; ONNX wants gates as input, output, forget, cell and packets first."""
        order = np.concatenate([np.arange(self.width) + gate * self.width for gate in (0, 3, 1, 2)])
        own = {name: array(value) for name, value in self.lstm.named_parameters()}
        weight, again = own["weight_ih_l0"][order][None], own["weight_hh_l0"][order][None]
        bias = np.concatenate([own["bias_ih_l0"][order], own["bias_hh_l0"][order]])[None]
        packets = made.node("Transpose", made.reshape(x, [0, self.channels, -1]), perm=[2, 0, 1])
        inputs = [packets, made.constant(weight), made.constant(again), made.constant(bias)]
        state = made.several("LSTM", inputs, 3, hidden_size=self.width)[1]
        return self.last.emit(made, made.reshape(state, [-1, self.width]))
