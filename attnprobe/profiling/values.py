"""The values of a sweep as written: `512..65536`, `512..4096+512`, `1,8,32`, `causal,none`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attnprobe.errors import UsageError

MOST = 2000
"""Values that one field may have."""

_NUMBER = r"(\d{1,12})([kK]?)"
_DOUBLING = re.compile(rf"{_NUMBER}\.\.{_NUMBER}")
_STEPS = re.compile(rf"{_NUMBER}\.\.{_NUMBER}\+{_NUMBER}")
_LONE = re.compile(_NUMBER)


def expand(text: str) -> tuple[str, ...]:
    """Every value once, in the order given; numbers written out.

    `A..B` doubles from A up to B, `A..B+S` goes in steps of S, commas separate (outside brackets),
    `8k` is 8192.

    Raises:
        UsageError: Nothing there, a range that ends before it begins, or more than `MOST` values.

    >>> expand("512..4096"), expand("1k..2k+512"), expand("zipf(1.2),full")
    (('512', '1024', '2048', '4096'), ('1024', '1536', '2048'), ('zipf(1.2)', 'full'))
    """
    found: dict[str, None] = {}
    for part in _parts(text):
        for value in _values(part):
            found[value] = None
            if len(found) > MOST:
                raise UsageError(
                    f"{text[:60]!r} has more than {MOST} values",
                    fix="A..B doubles; A..B+STEP with a larger step has fewer",
                )
    if not found:
        raise UsageError(f"{text[:60]!r} has no values", fix=FORMS)
    return tuple(found)


FORMS = "write 512..65536 (doubling), 512..4096+512 (steps) or a list 1,8,32"


def _parts(text: str) -> list[str]:
    """What stands between commas; those inside brackets separate arguments of one value."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _values(part: str) -> Iterator[str]:
    if match := _STEPS.fullmatch(part):
        first, last, step = _integers(match)
        _holds(part, first <= last and step > 0)
        yield from map(str, range(first, last + 1, step))
    elif match := _DOUBLING.fullmatch(part):
        first, last = _integers(match)
        _holds(part, 0 < first <= last)
        while first <= last:
            yield str(first)
            first *= 2
    elif match := _LONE.fullmatch(part):
        yield str(_integers(match)[0])
    elif ".." in part:
        _holds(part, False)
    else:
        yield part


def _integers(match: re.Match[str]) -> list[int]:
    digits, units = match.groups()[::2], match.groups()[1::2]
    return [int(d) * (1024 if unit else 1) for d, unit in zip(digits, units, strict=True)]


def _holds(part: str, sound: bool) -> None:
    if not sound:
        raise UsageError(f"{part[:60]!r} is no range", fix=FORMS)
