"""The classes: frozen numbers, the same in records, models and playbooks."""

from ganglion_trainer.errors import TrainerError

NAMES = (
    "Unknown",
    "Benign",
    "DDoS",
    "DoS",
    "PortScan",
    "Bot",
    "BruteForce",
    "Web",
    "Heartbleed",
    "Infiltration",
)
BENIGN = 1
DDOS = 2


def name(number: int) -> str:
    """The name of a class."""
    return NAMES[number]


def number(of: str, where: str) -> int:
    """The number of a class by its name; `where` goes into the error."""
    if of not in NAMES:
        raise TrainerError(f"{where}: unknown class {of!r}; known are {', '.join(NAMES)}")
    return NAMES.index(of)
