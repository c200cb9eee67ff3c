"""λ1 · MSE of the noise + λ2 · cross-entropy, and the boundary against what is no flow."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganglion_trainer.diffusion import schedule
from ganglion_trainer.diffusion.net import UNetFC
from ganglion_trainer.diffusion.sampling import Sampler
from ganglion_trainer.diffusion.settings import Settings


@dataclass(frozen=True)
class Parts:
    """The loss, and its parts as numbers."""

    total: Tensor
    noise: Tensor
    cross_entropy: Tensor
    boundary: Tensor


def loss(net: UNetFC, sampler: Sampler, shares: Tensor, settings: Settings, device: torch.device) -> Parts:
    """The loss of a fresh batch. Logits have a last column more than there are classes: none of them."""
    rows, y = sampler.draw(settings.batch)
    flows = sampler.flows(settings.noise_batch)
    strange = sampler.anomalies(settings.anomaly_batch)
    little, anything = _little(len(rows), settings, sampler.random), _any(len(flows), settings, sampler.random)
    noise = torch.randn((len(rows) + len(flows), rows.shape[1]), generator=sampler.random)
    times = torch.cat([little, anything])
    noised = schedule.noised(torch.cat([rows, flows]), noise, schedule.share_at(shares, times))
    at = torch.cat([times, torch.zeros(len(strange), dtype=torch.long)])
    time = net.time(at.to(device))
    bottleneck, skips = net.encode(torch.cat([noised, strange]).to(device), time)
    logits = net.head(bottleneck)
    # Only the noisy flows go through the decoder.
    mine = slice(len(rows), len(rows) + len(flows))
    found = net.decode(bottleneck[mine], [skip[mine] for skip in skips], time[mine])
    mse = ((found - noise[mine].to(device)) ** 2).mean()
    cross_entropy = nn.functional.cross_entropy(
        logits[: len(rows)], y.to(device), label_smoothing=settings.label_smoothing
    )
    boundary = torch.zeros((), device=device)
    if len(strange):
        none = torch.full((len(strange),), net.shape.classes - 1, device=device)
        boundary = nn.functional.cross_entropy(logits[-len(strange) :], none)
    total = settings.noise_loss * mse + settings.class_loss * cross_entropy + settings.anomaly_loss * boundary
    return Parts(total, mse.detach(), cross_entropy.detach(), boundary.detach())


def _little(count: int, settings: Settings, random: torch.Generator) -> Tensor:
    """0 for rows that stay clean, small for the rest: classes are told by clean rows."""
    times = torch.randint(1, settings.little_noise + 1, (count,), generator=random)
    clean = torch.rand(count, generator=random) < settings.clean_share
    return torch.where(clean, torch.zeros_like(times), times)


def _any(count: int, settings: Settings, random: torch.Generator) -> Tensor:
    """Any time, the early ones more often: they are what rebuilding takes."""
    lot = torch.rand(count, generator=random, dtype=torch.float64) ** settings.early
    return 1 + (lot * settings.noise_steps).long().clamp_max(settings.noise_steps - 1)
