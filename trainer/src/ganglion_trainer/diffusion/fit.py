"""The training loop: seeded, resumable, on the GPU when there is one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ganglion_trainer.derived import F32, I64
from ganglion_trainer.diffusion import checkpoint, net, scaling, schedule
from ganglion_trainer.diffusion.loss import Parts, loss
from ganglion_trainer.diffusion.sampling import Sampler
from ganglion_trainer.diffusion.settings import Settings
from ganglion_trainer.progress import bar
from ganglion_trainer.watched import EVERY, Watched

# Rows scaled at a time, and updates between two checkpoints.
_CHUNK = 8192
_SAVE = 500


@dataclass
class Curve:
    """How training went, noted every few updates."""

    update: list[int] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    cross_entropy: list[float] = field(default_factory=list)
    boundary: list[float] = field(default_factory=list)
    # On held-out rows, by the averaged weights; empty where none are watched.
    held_cross_entropy: list[float] = field(default_factory=list)
    held_auc: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """Scaling, network with averaged weights, and how it came about."""

    scales: scaling.Scales
    net: net.UNetFC
    settings: Settings
    classes: int
    benign: int
    curve: Curve


def device() -> torch.device:
    """CUDA where present, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    x: F32,
    y: I64,
    classes: int,
    benign: int,
    settings: Settings,
    seed: int,
    keep: Path | None = None,
    watched: Watched | None = None,
) -> Trained:
    """Learns from these rows alone; goes on from `keep` where a checkpoint of the same training lies there."""
    scales = scaling.learn(x, settings.knots)
    rows = scaled(scales, x)
    torch.manual_seed(seed)
    shape = net.Shape(
        columns=scales.width,
        classes=classes + 1,
        widths=settings.widths,
        groups=settings.groups,
        heads=settings.heads,
        time_width=settings.time_width,
        head_width=settings.head_width,
        dropout=settings.dropout,
        drop_path=settings.drop_path,
    )
    where = device()
    model = net.UNetFC(shape).to(where)
    sampler = Sampler(rows, y, classes, benign, scaling.Scaling(scales), settings, seed)
    run = _Run(model, sampler, settings, where)
    if watched is not None:
        run.watched = watched, scaled(scales, watched.x).to(where)
    mark = checkpoint.mark(x, y, settings, seed)
    done = run.resume(keep, mark) if keep is not None else 0
    with bar(settings.updates, "diffusion", done) as tick:
        run.train(done, tick, lambda update: checkpoint.save(keep, mark, run.tensors(update)) if keep else None)
    model.load_state_dict(run.average)
    model.eval().cpu()
    return Trained(scales, model, settings, classes, benign, run.curve)


def scaled(scales: scaling.Scales, x: F32) -> Tensor:
    """Rows as the network sees them."""
    layer = scaling.Scaling(scales)
    with torch.no_grad():
        parts = [layer(torch.from_numpy(x[at : at + _CHUNK])) for at in range(0, len(x), _CHUNK)]
    return torch.cat(parts) if parts else torch.zeros(0, scales.width)


class _Run:
    """Model, optimiser, averaged weights and curve of one training."""

    def __init__(self, model: net.UNetFC, sampler: Sampler, settings: Settings, where: torch.device) -> None:
        self.model, self.sampler, self.settings, self.where = model, sampler, settings, where
        self.shares = torch.from_numpy(schedule.kept(settings.noise_steps))
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.pairs = list(self.average.values()), [value.detach() for value in model.state_dict().values()]
        plain = [own for own in model.parameters() if own.ndim < 2]
        heavy = [own for own in model.parameters() if own.ndim >= 2]
        groups = [
            {"params": heavy, "weight_decay": settings.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.99), fused=True)
        self.curve = Curve()
        self.watched: tuple[Watched, Tensor] | None = None

    def train(self, done: int, tick: Callable[[], None], save: Callable[[int], None]) -> None:
        """The updates that are left."""
        self.model.train()
        for update in range(done, self.settings.updates):
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.learning_rate * _warmth(update, self.settings.updates)
            parts = loss(self.model, self.sampler, self.shares, self.settings, self.where)
            self.optimiser.zero_grad()
            parts.total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self._remember(update)
            if update % EVERY == 0 or update + 1 == self.settings.updates:
                self._note(update, parts)
            if (update + 1) % _SAVE == 0 and update + 1 < self.settings.updates:
                save(update + 1)
            tick()

    def _note(self, update: int, parts: Parts) -> None:
        self.curve.update.append(update)
        self.curve.noise.append(float(parts.noise))
        self.curve.cross_entropy.append(float(parts.cross_entropy))
        self.curve.boundary.append(float(parts.boundary))
        if self.watched is None:
            return
        rows, scaled_rows = self.watched
        self.model.eval()
        with torch.no_grad():
            none = torch.zeros(len(scaled_rows), dtype=torch.long, device=self.where)
            _, logits, _ = torch.func.functional_call(self.model, self.average, (scaled_rows, none))
        self.model.train()
        # The last column is for what is no flow.
        probabilities = torch.softmax(logits[:, :-1], dim=1).cpu().numpy()
        self.curve.held_cross_entropy.append(rows.loss(probabilities))
        self.curve.held_auc.append(rows.auc(probabilities))

    def _remember(self, update: int) -> None:
        """Moves the averaged weights; quickly at first."""
        memory = min(self.settings.average, (update + 1) / (update + 10))
        with torch.no_grad():
            torch._foreach_lerp_(*self.pairs, 1 - memory)

    def tensors(self, update: int) -> dict[str, Tensor]:
        """Everything that going on takes."""
        named = {"update": torch.tensor([update]), "random": self.sampler.state(), "torch": torch.get_rng_state()}
        named |= {f"net.{name}": value for name, value in self.model.state_dict().items()}
        named |= {f"average.{name}": value for name, value in self.average.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            named |= {f"adam.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        for name, values in vars(self.curve).items():
            named[f"curve.{name}"] = torch.tensor(values, dtype=torch.float64)
        return {name: value.detach().cpu().contiguous() for name, value in named.items()}

    def resume(self, keep: Path, mark: str) -> int:
        """Takes a checkpoint over, if there is one of this training; the updates it has behind it."""
        named = checkpoint.load(keep, mark, self.tensors(0))
        if named is None:
            return 0
        self.model.load_state_dict(_under(named, "net."))
        for name, value in _under(named, "average.").items():
            self.average[name].copy_(value)
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(named, "adam.").items():
            number, own = name.split(".", 1)
            states.setdefault(int(number), {})[own] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": states})
        self.sampler.restore(named["random"])
        torch.set_rng_state(named["torch"])
        for name, values in vars(self.curve).items():
            kind = int if name == "update" else float
            values.extend(kind(value) for value in named[f"curve.{name}"].tolist())
        return int(named["update"][0])


def _warmth(update: int, updates: int) -> float:
    """The learning rate's share: up over a tenth, then down a cosine."""
    rise = max(1, updates // 10)
    if update < rise:
        return (update + 1) / rise
    return float(0.5 * (1 + np.cos(np.pi * (update - rise) / max(1, updates - rise)))) + 1e-4


def _under(named: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
