"""Progress on standard error: what is being done, since when."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:7.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def bar(total: int, title: str, done: int = 0) -> Iterator[Callable[[], None]]:
    """A bar that is gone when its work is done; nothing where nobody watches. Yields what counts one step."""
    with tqdm(total=total, initial=done, desc=title, leave=False, disable=not sys.stderr.isatty()) as shown:

        def step() -> None:
            shown.update()

        yield step
