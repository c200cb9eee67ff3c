"""The detector as ONNX: scaling, both looks, K unrolled DDIM steps, the rule. Times and noise are constants.

A time that is known turns FiLM into the scale and shift of the normalisation before it: nothing of the time embedding
is left in the graph.
"""

from typing import cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from ganglion_trainer.derived import F32
from ganglion_trainer.diffusion import net
from ganglion_trainer.diffusion.detector import LEAST_ERROR, Detector
from ganglion_trainer.diffusion.prototypes import LEAST_SQUARE, Prototypes
from ganglion_trainer.emit import Emitter
from ganglion_trainer.errors import TrainerError
from ganglion_trainer.rivals.layers import array, linear, scale


def to_onnx(detector: Detector) -> onnx.ModelProto:
    """`features` in; `probabilities`, `anomaly`, `embedding` out."""
    made = Emitter()
    trained = detector.trained
    clean = scale(made, trained.scales)
    bottleneck, _ = _encode(made, detector.net, clean, _time(detector.net, 0))
    logits = _head(made, detector.net, bottleneck)
    own = made.node("Slice", logits, *(made.constant(np.array([value])) for value in (0, trained.classes, 1)))
    made.node("Softmax", made.mul(own, 1.0 / detector.rule.temperature), axis=1, out="probabilities")
    made.node("Identity", bottleneck, out="embedding")
    error, noisy = _error(made, detector, clean)
    both = made.node("Concat", bottleneck, noisy, axis=1)
    looks = [_distance(made, detector.known, both), _distance(made, detector.known_rows, clean), error]
    if detector.rule.odds:
        looks.append(_against(made, logits, trained.benign, trained.classes + 1))
    # The rule is linear in the looks: one factor each and one constant.
    factors = detector.weights() / detector.spread
    total = made.constant(float(-(factors * detector.middle).sum()))
    for factor, look in zip(factors, looks, strict=False):
        total = made.add(made.mul(look, float(factor)), total) if factor else total
    made.node("Identity", total, out="anomaly")
    shapes: dict[str, list[int | str]] = {
        "probabilities": ["N", trained.classes],
        "anomaly": ["N"],
        "embedding": ["N", trained.settings.widths[-1]],
    }
    return made.model(trained.scales.columns, shapes)


def _time(model: net.UNetFC, at: int) -> Tensor:
    with torch.no_grad():
        embedded: Tensor = model.time(torch.tensor([at]))
    return embedded


def _block(made: Emitter, block: net.ResidualBlock, x: str, time: Tensor) -> str:
    with torch.no_grad():
        scale_by, shift = block.film(time).chunk(2, dim=1)
    inner = made.silu(made.norm(x, array(1 + scale_by[0]), array(shift[0]), block.norm.eps))
    inner = linear(made, block.second, made.silu(linear(made, block.first, inner)))
    way = x if isinstance(block.round, nn.Identity) else linear(made, cast(nn.Linear, block.round), x)
    return made.add(way, inner)


def _attend(made: Emitter, own: net.GroupAttention, x: str) -> str:
    groups, token, heads = own.groups, own.token, own.heads
    normed = made.norm(x, array(own.norm.weight), array(own.norm.bias), own.norm.eps)
    tokens = made.add(made.reshape(normed, [-1, groups, token]), array(own.place)[None])
    asked = linear(made, own.ask, made.reshape(tokens, [-1, token]))
    asked = made.reshape(asked, [-1, groups, 3 * heads, token // heads])
    asked = made.node("Transpose", asked, perm=[0, 2, 1, 3])
    query, key, value = made.split(asked, 3, 1)
    turned = made.node("Transpose", key, perm=[0, 1, 3, 2])
    weight = made.mul(made.node("MatMul", query, turned), float((token // heads) ** -0.5))
    mixed = made.node("MatMul", made.node("Softmax", weight, axis=3), value)
    mixed = made.reshape(made.node("Transpose", mixed, perm=[0, 2, 1, 3]), [-1, token])
    return made.add(x, made.reshape(linear(made, own.answer, mixed), [-1, groups * token]))


def _encode(made: Emitter, model: net.UNetFC, x: str, time: Tensor) -> tuple[str, list[str]]:
    x, skips = linear(made, model.enter, x), []
    for block, down in zip(model.encoder, model.down, strict=True):
        x = _block(made, cast(net.ResidualBlock, block), x, time)
        skips.append(x)
        x = linear(made, cast(nn.Linear, down), x)
    x = _attend(made, model.attention, _block(made, model.before, x, time))
    return _block(made, model.after, x, time), skips


def _decode(made: Emitter, model: net.UNetFC, x: str, skips: list[str], time: Tensor) -> str:
    for level in reversed(range(len(skips))):
        up = linear(made, cast(nn.Linear, model.up[level]), x)
        block = cast(net.ResidualBlock, model.decoder[level])
        x = _block(made, block, made.node("Concat", up, skips[level], axis=1), time)
    norm, last = cast(nn.LayerNorm, model.leave[0]), cast(nn.Linear, model.leave[2])
    return linear(made, last, made.silu(made.norm(x, array(norm.weight), array(norm.bias), norm.eps)))


def _head(made: Emitter, model: net.UNetFC, x: str) -> str:
    norm = cast(nn.LayerNorm, model.head[0])
    first, last = cast(nn.Linear, model.head[1]), cast(nn.Linear, model.head[4])
    x = made.norm(x, array(norm.weight), array(norm.bias), norm.eps)
    return linear(made, last, made.silu(linear(made, first, x)))


def _against(made: Emitter, logits: str, benign: int, columns: int) -> str:
    """ln Σ exp of all but the benign column, less that column."""
    others = np.array([number for number in range(columns) if number != benign])
    axis = made.constant(np.array([1]))
    rest = made.node("ReduceLogSumExp", made.node("Gather", logits, made.constant(others), axis=1), axis, keepdims=0)
    own = made.node("Gather", logits, made.constant(np.array(benign)), axis=1)
    return made.sub(rest, own)


def _error(made: Emitter, detector: Detector, clean: str) -> tuple[str, str]:
    """The logarithm of how far the rebuilt row is from the row, and the first step's bottleneck."""
    shares, times = detector.shares, detector.times
    noise: F32 = array(detector.noise)
    first = float(shares[times[0]])
    noisy = ""
    rows = made.add(made.mul(clean, first**0.5), ((1 - first) ** 0.5 * noise).astype(np.float32))
    for at, then in zip(times, [*times[1:], 0], strict=True):
        bottleneck, skips = _encode(made, detector.net, rows, _time(detector.net, at))
        noisy = bottleneck if at == times[0] else noisy
        found = _decode(made, detector.net, bottleneck, skips, _time(detector.net, at))
        # DDIM: √s′ · (rows − √(1−s) · noise) / √s + √(1−s′) · noise.
        share, share_next = float(shares[at]), float(shares[then])
        keep = (share_next / share) ** 0.5
        move = (1 - share_next) ** 0.5 - keep * (1 - share) ** 0.5
        rows = made.add(made.mul(rows, keep), made.mul(found, move))
    apart = made.sub(rows, clean)
    missed = made.mean(made.mul(made.mul(apart, apart), detector.precision), 1)
    return made.node("Log", made.add(missed, LEAST_ERROR)), noisy


def _distance(made: Emitter, known: Prototypes | None, x: str) -> str:
    """ln of the squared distance to the nearest benign prototype."""
    if known is None:
        raise TrainerError("the detector has not settled: it has seen no benign rows")
    z = made.mul(made.sub(x, known.mean), (1.0 / known.deviation).astype(np.float32))
    axis = made.constant(np.array([1]))
    own = made.node("ReduceSumSquare", z, axis, keepdims=1)
    cross = made.linear(z, -2 * known.centres, (known.centres**2).sum(axis=1))
    least = made.node("ReduceMin", made.add(own, cross), axis, keepdims=0)
    return made.node("Log", made.add(made.node("Relu", least), LEAST_SQUARE))
