"""Keys too far before the query that are skipped although no window was asked for.

The first row that is wrong says how wide the window is: the rows before it still see all their keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.numerics import judge

KIND = "indirect"

AROUND = 2
"""Widths tried on either side: the first key that is lost may weigh too little to be seen."""


def variants(seen: Seen) -> Iterator[Variant]:
    """Windows whose first row is where the error begins."""
    case, mask = seen.inputs.case, seen.inputs.case.mask
    if "out" not in seen.unexplained or case.lengths is not None or mask.left is not None:
        return
    ratios = judge.ratios("out", seen.outputs, seen.inputs, seen.reference, seen.parity.contract)
    if ratios is None or not bool((ratios > 1.0).any()):
        return
    first = int((ratios > 1.0).any(-1).any(0).any(0).nonzero()[0])
    left = first + mask.shift(case.Mq, case.Mkv) - 1
    for width in range(max(left - AROUND, 0), left + AROUND + 1):
        narrowed = case.edit(mask=replace(mask, left=width))
        says = f"keys more than {width} before the query are skipped, as under a window"
        yield Variant(says, replace(seen.inputs, case=narrowed))
