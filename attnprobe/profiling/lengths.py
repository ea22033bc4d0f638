"""The lengths of sequences that a sweep puts in place of one length for all."""

from __future__ import annotations

import random
import re

from attnprobe import lengths
from attnprobe.errors import UsageError

FORMS = f"full, half, uniform, lengths by hand (37+120+8+200), {lengths.spelled()}"

_BY_HAND = re.compile(r"\d{1,9}(\+\d{1,9})*")


def draw(text: str, B: int, longest: int, seed: int) -> tuple[int, ...]:
    """The lengths of B sequences, none longer than `longest`.

    `full` and `half`: all of it, and half of it. `uniform`: 1 to `longest`. `37+120+8+200`: these, again
    and again. Everything else as in workloads (`attnprobe/lengths.py`), cut off at `longest`.

    Args:
        text: One of the above.
        B: How many.
        longest: The longest that is allowed.
        seed: Of `uniform`.

    Raises:
        UsageError: None of the above, or a length by hand that is too long.

    >>> draw("37+120", 3, 128, 0), draw("half", 2, 128, 0)
    ((37, 120, 37), (64, 64))
    """
    if _BY_HAND.fullmatch(text):
        given = [int(length) for length in text.split("+")]
        if max(given) > longest:
            raise UsageError(f"lengths={text}: {max(given)} is longer than M={longest}")
        return tuple(given[n % len(given)] for n in range(B))
    numbers = random.Random(seed)
    match text:
        case "full":
            return (longest,) * B
        case "half":
            return (max(1, longest // 2),) * B
        case "uniform":
            return tuple(1 + int(numbers.random() * longest) for _ in range(B))
        case _:
            return tuple(min(n, longest) for n in _distribution(text, B))


def _distribution(text: str, B: int) -> tuple[int, ...]:
    try:
        return lengths.draw(text, B)
    except UsageError as error:
        raise UsageError(error.what, error.why, FORMS) from None
