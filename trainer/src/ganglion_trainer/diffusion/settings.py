"""Settings of the diffusion model, each with its default."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ganglion_trainer.errors import TrainerError


@dataclass(frozen=True)
class Settings:
    """How the network looks and how it learns."""

    # Steps of the forward process.
    noise_steps: int = 1000
    # Ramps of the rank transform, per column.
    knots: int = 16
    # Widths of the U-Net, from outside to its bottleneck, and what sits between.
    widths: tuple[int, ...] = (96, 64, 32)
    groups: int = 4
    heads: int = 1
    time_width: int = 32
    head_width: int = 48
    dropout: float = 0.0
    drop_path: float = 0.1
    # λ1 and λ2 of the loss, and the weight of pseudo-anomalies in it.
    noise_loss: float = 1.0
    class_loss: float = 1.0
    anomaly_loss: float = 1.0
    # Share of rows of any class, not Benign alone, among those that rebuilding is learned from.
    attack_noise: float = 0.0
    # Times are drawn as a uniform number to this power: above 1 the early ones more often.
    early: float = 3.0
    label_smoothing: float = 0.02
    # Updates, rows of each, the highest learning rate, weight decay, memory of the averaged weights.
    updates: int = 1000
    batch: int = 256
    noise_batch: int = 256
    anomaly_batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    average: float = 0.995
    # Classes are drawn by their rows to this power: 0 evenly, 1 as they come.
    evenness: float = 0.5
    # How far a row moves towards a neighbour of its class at most (SMOTE).
    smote: float = 0.5
    neighbours: int = 5
    # Share of rows that classes are learned from without noise; the others get noise up to this step.
    clean_share: float = 0.75
    little_noise: int = 50
    # Share of pseudo-anomalies that get columns of other rows; the others are moved.
    swapped: float = 0.7
    # How far those move at most, in differences between two rows.
    anomaly_noise: float = 0.5


def of(values: dict[str, Any], base: Settings | None = None, where: str = "settings") -> Settings:
    """Settings with some replaced; unknown names and wrong types are refused."""
    base = base or Settings()
    known = {item.name: getattr(base, item.name) for item in fields(Settings)}
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise TrainerError(f"{where}: unknown setting {key!r} of the diffusion model")
        default = known[key]
        if isinstance(default, tuple):
            good = isinstance(value, list | tuple) and bool(value) and all(type(item) is int for item in value)
            value = tuple(value) if good else value
        elif isinstance(default, float):
            good = type(value) in (int, float)
        else:
            good = type(value) is int
        if not good:
            raise TrainerError(f"{where}: {key} is {value!r}, {type(default).__name__} is due")
        changed[key] = value
    return _checked(replace(base, **changed), where)


def as_json(settings: Settings) -> dict[str, Any]:
    """For reports and manifests."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}


def _checked(made: Settings, where: str) -> Settings:
    ranges: dict[str, tuple[float, float]] = {
        "noise_steps": (10, 10_000),
        "knots": (2, 256),
        "time_width": (4, 512),
        "head_width": (1, 2048),
        "updates": (1, 1_000_000),
        "batch": (2, 65_536),
        "learning_rate": (1e-7, 1.0),
        "average": (0.0, 0.99999),
        "evenness": (0.0, 1.0),
        "neighbours": (1, 50),
        "dropout": (0.0, 0.9),
        "drop_path": (0.0, 0.9),
        "label_smoothing": (0.0, 0.5),
        "clean_share": (0.05, 1.0),
        "little_noise": (1, made.noise_steps),
        "noise_batch": (1, 65_536),
        "anomaly_batch": (0, 65_536),
        "early": (0.1, 10.0),
        "attack_noise": (0.0, 1.0),
        "swapped": (0.0, 1.0),
        "smote": (0.0, 1.0),
    }
    for key in ("noise_loss", "class_loss", "anomaly_loss", "weight_decay", "anomaly_noise"):
        ranges[key] = (0.0, 1000.0)
    for key, (low, high) in ranges.items():
        if not low <= getattr(made, key) <= high:
            raise TrainerError(f"{where}: {key} is {getattr(made, key)}, {low:g} to {high:g} is due")
    if not 2 <= len(made.widths) <= 6 or not all(4 <= width <= 4096 for width in made.widths):
        raise TrainerError(f"{where}: widths are {list(made.widths)}: two to six of 4 to 4096 are due")
    tokens = made.groups * made.heads
    if made.groups < 1 or made.heads < 1 or made.widths[-1] % tokens:
        raise TrainerError(f"{where}: the bottleneck's {made.widths[-1]} divide not into groups × heads = {tokens}")
    return made
