"""Progress on standard error: what is being done, since when."""

import sys
import time

_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:7.1f} s] {text}", file=sys.stderr, flush=True)
