"""How long the sequences of a batch are, drawn from a named distribution.

`zipf(1.2, seed=6)` in a workload (`lengths`, `q_lengths`, `kv_lengths`) stands for as many lengths as
the case has sequences. The same text gives the same lengths on every machine: only `random.random` is
used, whose sequence Python keeps between versions.
"""

from __future__ import annotations

import inspect
import math
import random
import re
from collections.abc import Callable
from difflib import get_close_matches
from itertools import pairwise

from attnprobe.errors import UsageError

Draw = Callable[..., tuple[int, ...]]

STOPS = (3, 386, 858)
"""Ranks of the words that end a sentence, "." and "!" and "?", in WikiText-2."""


def zipf(count: int, alpha: float, seed: int = 0, max: int = 2**31 - 1) -> tuple[int, ...]:
    """Lengths of sentences whose words follow Zipf's law.

    Words are drawn by rank, P(rank) ~ rank ** -alpha, until one of `STOPS` comes: the length of a
    sentence is geometric. Source: `zipf_sentence_lengths` of PyTorch's tutorial, which draws word by
    word (https://docs.pytorch.org/tutorials/intermediate/transformer_building_blocks.html); its
    alpha of 1.2 gives 21 words on average.

    Args:
        count: How many sentences.
        alpha: Exponent, above 1 and at most 10.
        seed: Which draw.
        max: Longer sentences are cut to this many words.
    """
    if not 1 < alpha <= 10:
        raise ValueError(f"alpha is {alpha}; it must be above 1 and at most 10")
    if max < 1:
        raise ValueError(f"max is {max}; it must be at least 1")
    stop = sum(rank**-alpha for rank in STOPS) / _zeta(alpha)
    numbers = random.Random(seed)
    drawn = (
        1 + math.floor(math.log1p(-numbers.random()) / math.log1p(-stop)) for _ in range(count)
    )
    return tuple(min(n, max) for n in drawn)


def uniform(count: int, low: int, high: int, step: int = 1, seed: int = 0) -> tuple[int, ...]:
    """Multiples of `step` from `low` to `high`, all equally likely.

    Args:
        count: How many sequences.
        low: Shortest; a multiple of `step` above it is drawn when it is none.
        high: Longest.
        step: What every length is a multiple of.
        seed: Which draw.
    """
    if step < 1 or low < 0:
        raise ValueError(f"step is {step} and low is {low}; they must be at least 1 and 0")
    first, last = -(-low // step), high // step
    if first > last:
        raise ValueError(f"there is no multiple of {step} from {low} to {high}")
    numbers = random.Random(seed)
    return tuple(step * (first + _below(numbers, last - first + 1)) for _ in range(count))


def documents(count: int, tokens: int, cuts: int, seed: int = 0) -> tuple[int, ...]:
    """Rows of `tokens` tokens, each cut into `cuts` + 1 documents at places drawn at random.

    Source: PyTorch's tutorial of `varlen_attn`, where an end-of-sequence token marks the cuts
    (https://docs.pytorch.org/tutorials/intermediate/variable_length_attention_tutorial.html).

    Args:
        count: How many documents in all: a multiple of `cuts` + 1.
        tokens: Tokens of a row.
        cuts: Cuts per row, each at another place.
        seed: Which draw.
    """
    if not 0 <= cuts < tokens:
        raise ValueError(f"{tokens} tokens have at most {tokens - 1} places to cut, not {cuts}")
    if count % (cuts + 1):
        raise ValueError(f"{count} sequences are no rows of {cuts + 1} documents each")
    numbers, found = random.Random(seed), list[int]()
    for _ in range(count // (cuts + 1)):
        places = set[int]()
        while len(places) < cuts:
            places.add(1 + _below(numbers, tokens - 1))
        edges = (0, *sorted(places), tokens)
        found += (stop - start for start, stop in pairwise(edges))
    return tuple(found)


MAX_COUNT = 4096
"""Sequences in a batch, at most."""

DISTRIBUTIONS: dict[str, Draw] = {"zipf": zipf, "uniform": uniform, "documents": documents}

_CALL = re.compile(r"\s*(?P<name>[a-z]+)\s*\((?P<arguments>[^()]*)\)\s*", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,10})?", re.ASCII)


def spelled() -> str:
    """How every distribution is written: `zipf(alpha, seed=0, max=2147483647); ...`."""
    return "; ".join(f"{name}({_signature(draw)})" for name, draw in DISTRIBUTIONS.items())


def draw(text: str, count: int) -> tuple[int, ...]:
    """The lengths that `zipf(1.2, seed=6)` stands for.

    Args:
        text: Name and arguments, by position or by name.
        count: How many sequences.

    Raises:
        UsageError: No such distribution, arguments that it does not take, or too many sequences.
    """
    match = _CALL.fullmatch(text)
    if match is None or match["name"] not in DISTRIBUTIONS:
        near = get_close_matches(text.partition("(")[0].strip(), DISTRIBUTIONS, n=1)
        advice = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"lengths {text[:60]!r} cannot be read", fix=advice + spelled())
    try:
        return _call(DISTRIBUTIONS[match["name"]], count, match["arguments"])
    except (TypeError, ValueError) as error:
        raise UsageError(f"lengths {text[:60]!r} cannot be drawn", str(error), spelled()) from None


def _call(chosen: Draw, count: int, arguments: str) -> tuple[int, ...]:
    """Calls a distribution.

    Raises:
        TypeError: It has no such arguments.
        ValueError: Arguments outside their range.
    """
    if count > MAX_COUNT:
        raise ValueError(f"{count} sequences are too many; the limit is {MAX_COUNT}")
    positional, named = _arguments(arguments)
    bound = inspect.signature(chosen).bind(count, *positional, **named)
    for name, value in bound.arguments.items():
        if name != "alpha" and not isinstance(value, int):
            raise ValueError(f"{name} is {value}; it must be an integer")
    return chosen(*bound.args, **bound.kwargs)


def _arguments(text: str) -> tuple[list[float], dict[str, float]]:
    """Numbers by position, then by name.

    Raises:
        ValueError: A number that is none, a name that is given twice or stands before a bare number.
    """
    positional, named = list[float](), dict[str, float]()
    for part in text.split(",") if text.strip() else ():
        key, equals, value = (piece.strip() for piece in part.rpartition("="))
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"{value[:40]!r} is not a number")
        number = float(value) if "." in value else int(value)
        if equals and key not in named:
            named[key] = number
        elif not equals and not named:
            positional.append(number)
        else:
            raise ValueError(f"{part.strip()[:40]!r} is given twice, or too late")
    return positional, named


def _signature(draw: Draw) -> str:
    parameters = list(inspect.signature(draw).parameters.values())[1:]
    return ", ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters
    )


def _below(numbers: random.Random, limit: int) -> int:
    """An integer in 0..limit - 1."""
    return int(numbers.random() * limit)


def _zeta(alpha: float) -> float:
    """Riemann's zeta for alpha > 1, by Euler and Maclaurin: the first terms, and an integral."""
    n = 32.0
    tail: float = n ** (1 - alpha) / (alpha - 1) + n**-alpha / 2 + alpha * n ** (-alpha - 1) / 12
    return math.fsum(k**-alpha for k in range(1, int(n))) + tail
