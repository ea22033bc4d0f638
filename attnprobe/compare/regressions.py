"""What a run of continuous integration may want to fail on."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.compare.records import Comparison, Pair

KINDS = ("wrong", "broken", "refused", "slower", "memory")
"""newly wrong; raises, crashes, hangs or runs out of memory where it ran; refused where it ran; a slower
pass; a higher peak."""


def regressions(found: Comparison, kinds: Iterable[str]) -> list[Pair]:
    """The trials that are worse in one of these ways."""
    wanted = frozenset(kinds)
    return [pair for pair in found.pairs if wanted & _worse(pair)]


def _worse(pair: Pair) -> frozenset[str]:
    ways = {pair.change.removeprefix("newly_")} & {"wrong", "broken", "refused"}
    if any(speed.verdict == "slower" for speed in pair.speeds):
        ways.add("slower")
    if pair.memory is not None and pair.memory.verdict == "more":
        ways.add("memory")
    return frozenset(ways)
