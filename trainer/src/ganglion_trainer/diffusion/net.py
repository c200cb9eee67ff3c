"""The network: a fully connected U-Net that predicts noise, with a classifier head on its bottleneck."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

# Time steps are told apart by waves of these wavelengths at most.
_LONGEST = 10_000.0


@dataclass(frozen=True)
class Shape:
    """Sizes of a network."""

    columns: int
    classes: int
    widths: tuple[int, ...] = (192, 128, 64)
    # Groups of features that attend to each other at the bottleneck.
    groups: int = 8
    heads: int = 2
    time_width: int = 64
    head_width: int = 64
    dropout: float = 0.1
    drop_path: float = 0.1


class DropPath(nn.Module):
    """Leaves a residual branch out for some rows in training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The branch, or 0, so that its mean stays."""
        if not self.training or self.rate == 0:
            return x
        stays = torch.rand(len(x), 1, device=x.device) >= self.rate
        return x * stays / (1 - self.rate)


class TimeEmbedding(nn.Module):
    """Sinusoids of the time step, through a small network."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.register_buffer("frequencies", torch.exp(-math.log(_LONGEST) * torch.arange(half) / half))
        self.mix = nn.Sequential(nn.Linear(2 * half, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, times: Tensor) -> Tensor:
        """One row per time."""
        angle = times[:, None].float() * self.frequencies
        mixed: Tensor = self.mix(torch.cat([angle.sin(), angle.cos()], dim=1))
        return mixed


class ResidualBlock(nn.Module):
    """Normalise, scale and shift by the time (FiLM), two layers, and the way round them."""

    def __init__(self, wide: int, width: int, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(wide, elementwise_affine=False)
        self.film = nn.Linear(shape.time_width, 2 * wide)
        self.first = nn.Linear(wide, width)
        self.second = nn.Linear(width, width)
        self.dropout: nn.Module = nn.Dropout(shape.dropout) if shape.dropout else nn.Identity()
        self.drop_path = DropPath(shape.drop_path)
        self.round: nn.Module = nn.Identity() if wide == width else nn.Linear(wide, width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Rows of `width`."""
        scale, shift = self.film(time).chunk(2, dim=1)
        branch = nn.functional.silu(self.norm(x) * (1 + scale) + shift)
        branch = self.second(self.dropout(nn.functional.silu(self.first(branch))))
        out: Tensor = self.round(x) + self.drop_path(branch)
        return out


class GroupAttention(nn.Module):
    """Self-attention between groups of bottleneck features, each a token."""

    def __init__(self, width: int, shape: Shape) -> None:
        super().__init__()
        self.groups, self.heads = shape.groups, shape.heads
        self.token = width // shape.groups
        self.norm = nn.LayerNorm(width)
        self.place = nn.Parameter(torch.randn(shape.groups, self.token) * 0.02)
        self.ask = nn.Linear(self.token, 3 * self.token)
        self.answer = nn.Linear(self.token, self.token)
        self.drop_path = DropPath(shape.drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of the same width."""
        tokens = self.norm(x).view(-1, self.groups, self.token) + self.place
        parts = self.ask(tokens).view(-1, self.groups, 3 * self.heads, self.token // self.heads).transpose(1, 2)
        query, key, value = parts.chunk(3, dim=1)
        weight = torch.softmax(query @ key.transpose(2, 3) * (self.token // self.heads) ** -0.5, dim=3)
        mixed = (weight @ value).transpose(1, 2).reshape(-1, self.groups, self.token)
        out: Tensor = x + self.drop_path(self.answer(mixed).reshape(-1, self.groups * self.token))
        return out


class UNetFC(nn.Module):
    """Noise of rows at a time, logits of their classes, and the bottleneck."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.time = TimeEmbedding(shape.time_width)
        self.enter = nn.Linear(shape.columns, widths[0])
        self.encoder = nn.ModuleList(ResidualBlock(width, width, shape) for width in widths[:-1])
        self.down = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.before = ResidualBlock(widths[-1], widths[-1], shape)
        self.attention = GroupAttention(widths[-1], shape)
        self.after = ResidualBlock(widths[-1], widths[-1], shape)
        self.up = nn.ModuleList(nn.Linear(b, a) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(ResidualBlock(2 * width, width, shape) for width in widths[:-1])
        self.leave = nn.Sequential(nn.LayerNorm(widths[0]), nn.SiLU(), nn.Linear(widths[0], shape.columns))
        self.head = nn.Sequential(
            nn.LayerNorm(widths[-1]),
            nn.Linear(widths[-1], shape.head_width),
            nn.SiLU(),
            nn.Dropout(shape.dropout),
            nn.Linear(shape.head_width, shape.classes),
        )

    def encode(self, rows: Tensor, time: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Bottleneck, and what goes round it."""
        x, skips = self.enter(rows), []
        for block, down in zip(self.encoder, self.down, strict=True):
            x = block(x, time)
            skips.append(x)
            x = down(x)
        return self.after(self.attention(self.before(x, time)), time), skips

    def decode(self, bottleneck: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
        """The predicted noise."""
        x = bottleneck
        for level in reversed(range(len(skips))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], dim=1), time)
        noise: Tensor = self.leave(x)
        return noise

    def forward(self, rows: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, logits, bottleneck."""
        time = self.time(times)
        bottleneck, skips = self.encode(rows, time)
        return self.decode(bottleneck, skips, time), self.head(bottleneck), bottleneck


def parameters(module: nn.Module) -> int:
    """Trained numbers."""
    return sum(own.numel() for own in module.parameters() if own.requires_grad)
