"""Lengths of sequences as real batches have them, drawn once and the same on every machine."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from attnprobe.errors import UsageError

Draw = Callable[[random.Random, int], int]
"""One length between 1 and the longest that is allowed."""

FORMS = "full, uniform, half, zipf(1.2), or lengths by hand: 37+120+8+200"

_ZIPF = re.compile(r"zipf\((\d+(?:\.\d+)?)\)")
_BY_HAND = re.compile(r"\d{1,9}(\+\d{1,9})*")


def draw(text: str, B: int, longest: int, seed: int) -> tuple[int, ...]:
    """The lengths of B sequences.

    `zipf(a)`: length n with probability proportional to n ** -a, cut off at `longest` (many short
    sentences, few long ones). `uniform`: 1 to `longest`. `half`: each one half of it. `full`: all of it.
    `37+120+8+200`: these, again and again.

    Args:
        text: One of the above.
        B: How many.
        longest: The longest that is allowed.
        seed: Of the generator.

    Raises:
        UsageError: None of the above, or a length by hand that is too long.

    >>> draw("37+120", 3, 128, 0)
    (37, 120, 37)
    """
    if _BY_HAND.fullmatch(text):
        given = [int(length) for length in text.split("+")]
        if max(given) > longest:
            raise UsageError(f"lengths={text}: {max(given)} is longer than M={longest}")
        return tuple(given[n % len(given)] for n in range(B))
    chosen, rng = _draw(text, longest), random.Random(seed)
    return tuple(chosen(rng, longest) for _ in range(B))


def _draw(text: str, longest: int) -> Draw:
    if match := _ZIPF.fullmatch(text):
        return _zipf(float(match[1]), longest)
    named: dict[str, Draw] = {
        "full": lambda rng, longest: longest,
        "half": lambda rng, longest: max(1, longest // 2),
        "uniform": lambda rng, longest: rng.randint(1, max(1, longest)),
    }
    if text not in named:
        raise UsageError(f"there is no distribution of lengths {text[:60]!r}", fix=FORMS)
    return named[text]


def _zipf(exponent: float, longest: int) -> Draw:
    lengths: Sequence[int] = range(1, longest + 1)
    weights = [float(n) ** -exponent for n in lengths]
    return lambda rng, longest: rng.choices(lengths, weights)[0]
