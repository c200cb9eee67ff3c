"""Hashes of numbers: what only has to be told apart, the same on every machine."""

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]


def mix(value: U64) -> U64:
    """splitmix64's finaliser."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def fold(parts: list[U64]) -> U64:
    """One hash of several numbers per row, in their order."""
    made = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        made = mix(made ^ part)
    return made
